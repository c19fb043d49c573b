def greeting(names):
    return "hello " + " and ".join(names)
