import os, psutil
p = psutil.Process()
print(p.pid == os.getpid(), p.ppid() == os.getppid(), p.num_threads() >= 1, p.cwd() == os.getcwd())
print(psutil.cpu_count() >= 1, psutil.virtual_memory().total > 1 << 20, p.memory_info().rss > 1 << 20, p.create_time() > 1e9)
print(type(p.nice()).__name__, p.status() in ("running", "sleeping"), os.getpid() in psutil.pids(), psutil.boot_time() > 1e9)
