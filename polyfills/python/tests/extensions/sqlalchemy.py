from sqlalchemy import create_engine, select, Integer, String, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, Session
from sqlalchemy.util import has_compiled_ext
print(has_compiled_ext())
class Base(DeclarativeBase): pass
class U(Base):
    __tablename__ = "u"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(20))
e = create_engine("sqlite://"); Base.metadata.create_all(e)
with Session(e) as s:
    s.add_all([U(name=n) for n in "abc"]); s.commit()
    print([(u.id, u.name) for u in s.scalars(select(U).where(U.name > "a").order_by(U.id.desc()))], s.execute(text("select count(*) from u")).one())
print(select(U).where(U.id.in_([1, 2])))
