import hashlib, io
from PIL import Image, ImageChops, ImageDraw, ImageFilter, ImageStat, UnidentifiedImageError, features

print([name for name in ("zlib", "jpg") if features.check(name)], features.check("pil"))
image = Image.new("RGB", (160, 120), "navy")
draw = ImageDraw.Draw(image)
draw.ellipse((20, 20, 100, 100), fill="gold", outline="white", width=3)
draw.line((0, 119, 159, 0), fill=(200, 30, 30), width=5)
draw.polygon([(110, 100), (150, 110), (130, 40)], fill="#20c060")


def digest(image):
    return image.size, image.mode, hashlib.sha256(image.tobytes()).hexdigest()[:16]


print(digest(image), image.getpixel((60, 60)), image.getbbox(), image.getcolors(1000)[:2])
png = io.BytesIO()
image.save(png, "PNG")
print(ImageChops.difference(Image.open(png).convert("RGB"), image).getbbox(), Image.open(png).format)
for quality in (50, 95):
    jpeg = io.BytesIO()
    image.save(jpeg, "JPEG", quality=quality)
    again = Image.open(io.BytesIO(jpeg.getvalue()))
    difference = ImageStat.Stat(ImageChops.difference(again, image))
    print(again.format, again.size, [round(m) for m in difference.mean], len(jpeg.getvalue()) < len(image.tobytes()) / 5)
for method in (Image.Resampling.NEAREST, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS):
    print(method.name, digest(image.resize((50, 40), method)))
print(digest(image.rotate(30, expand=True)), digest(image.transpose(Image.Transpose.ROTATE_90)), digest(image.convert("L")))
print(digest(image.filter(ImageFilter.GaussianBlur(2))), digest(image.quantize(16).convert("RGB")), digest(image.convert("CMYK")))
for kind in ("GIF", "BMP", "TIFF", "PPM"):
    file = io.BytesIO()
    image.save(file, kind)
    print(kind, Image.open(file).format, Image.open(file).size)
try:
    Image.open(io.BytesIO(b"no image"))
except UnidentifiedImageError as error:
    print(type(error).__name__)
try:
    Image.open(io.BytesIO(png.getvalue()[:200])).load()
except OSError as error:
    print(type(error).__name__, error)
