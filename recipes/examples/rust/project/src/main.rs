//! Does what programs do with an operating system, and prints what it observed: threads and channels, TCP,
//! files and folders, a child process, the environment, time, panics. It prints the same everywhere.
//!
//! With the argument `child` it is the child.

use std::{
    env, fs,
    hint::black_box,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    panic,
    path::Path,
    process::{Command, ExitCode, Stdio},
    sync::{
        Arc, Barrier, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

fn main() -> io::Result<ExitCode> {
    if env::args().nth(1).as_deref() == Some("child") {
        return child();
    }
    threads();
    tcp()?;
    files()?;
    processes()?;
    environment();
    time()?;
    panics();
    numbers();
    Ok(ExitCode::SUCCESS)
}

/// Says what it was given, and ends with a status of its own.
fn child() -> io::Result<ExitCode> {
    let mut input = String::new();
    io::stdin().read_to_string(&mut input)?;
    let greeting = env::var("GREETING").unwrap_or_default();
    let rest: Vec<String> = env::args().skip(2).collect();
    println!(
        "{greeting}, {rest:?}, {} bytes, in {:?}",
        input.len(),
        env::current_dir()?
    );
    eprintln!("and this to standard error");
    Ok(ExitCode::from(7))
}

fn threads() {
    const WORKERS: u64 = 8;
    let (sender, receiver) = mpsc::channel();
    let started = Arc::new(Barrier::new(WORKERS as usize));
    let total = Arc::new(AtomicU64::new(0));
    let workers: Vec<_> = (0..WORKERS)
        .map(|number| {
            let (sender, started, total) = (sender.clone(), started.clone(), total.clone());
            thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn(move || {
                    started.wait();
                    for _ in 0..10_000 {
                        total.fetch_add(number, Ordering::Relaxed);
                    }
                    let name = thread::current().name().map(str::to_owned);
                    sender.send((number, name)).unwrap();
                    number * number
                })
                .unwrap()
        })
        .collect();
    drop(sender);
    let mut names: Vec<_> = receiver.iter().collect();
    names.sort();
    let squares: Vec<u64> = workers.into_iter().map(|w| w.join().unwrap()).collect();
    println!(
        "threads: {squares:?}, together {}",
        total.load(Ordering::Relaxed)
    );
    println!("the last: {:?}", names.last());

    let pair = Arc::new((Mutex::new(0), Condvar::new()));
    let waiter = {
        let pair = pair.clone();
        thread::spawn(move || {
            let (count, changed) = &*pair;
            let count = count.lock().unwrap();
            *changed.wait_while(count, |count| *count < 3).unwrap()
        })
    };
    for _ in 0..3 {
        *pair.0.lock().unwrap() += 1;
        pair.1.notify_all();
    }
    println!("waited until {}", waiter.join().unwrap());

    let mut parts = [0_u32; 4];
    thread::scope(|scope| {
        for (number, part) in parts.iter_mut().enumerate() {
            scope.spawn(move || *part = number as u32 + 1);
        }
    });
    println!("borrowed: {parts:?}");
}

/// A server that answers lines in capitals, and three clients at once.
fn tcp() -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let address = listener.local_addr()?;
    let server = thread::spawn(move || -> io::Result<usize> {
        let mut lines = 0;
        for stream in listener.incoming().take(3) {
            let mut stream = stream?;
            for line in BufReader::new(stream.try_clone()?).lines() {
                writeln!(stream, "{}", line?.to_uppercase())?;
                lines += 1;
            }
        }
        Ok(lines)
    });
    let clients: Vec<_> = (0..3)
        .map(|number| {
            thread::spawn(move || -> io::Result<String> {
                let mut stream = TcpStream::connect(address)?;
                stream.set_read_timeout(Some(Duration::from_secs(30)))?;
                stream.set_nodelay(true)?;
                write!(stream, "client {number}\nsays hello\n")?;
                stream.shutdown(Shutdown::Write)?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                Ok(answer)
            })
        })
        .collect();
    for client in clients {
        println!("answer: {:?}", client.join().unwrap()?);
    }
    println!("lines served: {}", server.join().unwrap()?);

    let listener = TcpListener::bind(("127.0.0.1", 0))?;
    let silent = TcpStream::connect(listener.local_addr()?)?;
    let timeout = Duration::from_millis(50);
    silent.set_read_timeout(Some(timeout))?;
    println!(
        "timeout set: {}",
        silent.read_timeout()?.is_some_and(|set| set >= timeout)
    );
    let read = (&silent).read(&mut [0]).map_err(|error| error.kind());
    println!("silence: {read:?}");
    Ok(())
}

fn files() -> io::Result<()> {
    let folder = env::temp_dir().join(format!("observe-{}", std::process::id()));
    fs::create_dir_all(folder.join("a/b"))?;
    let file = folder.join("a/file");
    fs::write(&file, "one\ntwo\nthree\n")?;
    fs::OpenOptions::new()
        .append(true)
        .open(&file)?
        .write_all(b"four\n")?;
    let copied = fs::copy(&file, folder.join("a/copy"))?;
    fs::rename(folder.join("a/copy"), folder.join("a/renamed"))?;
    std::os::unix::fs::symlink("file", folder.join("a/link"))?;
    let about = fs::metadata(&file)?;
    let age = SystemTime::now().duration_since(about.modified()?);
    println!(
        "file: {} bytes copied, {} in all, changed just now: {}",
        copied,
        about.len(),
        age.unwrap_or_default() < Duration::from_secs(60)
    );
    let text = fs::read_to_string(folder.join("a/link"))?;
    println!("lines: {:?}", text.lines().rev().collect::<Vec<_>>());
    println!("link: {:?}", fs::read_link(folder.join("a/link"))?);
    let mut entries = Vec::new();
    for entry in fs::read_dir(folder.join("a"))? {
        let entry = entry?;
        entries.push((entry.file_name(), kind(&entry.path())?));
    }
    entries.sort();
    println!("folder: {entries:?}");

    let set = SystemTime::UNIX_EPOCH + Duration::new(1_234_567_890, 123_456_789);
    fs::File::options()
        .write(true)
        .open(&file)?
        .set_modified(set)?;
    println!("time as set: {}", fs::metadata(&file)?.modified()? == set);
    // Further than 32 bits of offset.
    let far = fs::File::create(folder.join("far"))?;
    far.set_len(6 << 30)?;
    println!("sparse: {} bytes", far.metadata()?.len());

    let missing = fs::read(folder.join("missing")).map_err(|error| error.kind());
    println!("missing: {missing:?}");
    fs::remove_dir_all(&folder)?;
    println!("removed: {}", !folder.exists());
    Ok(())
}

fn kind(path: &Path) -> io::Result<&'static str> {
    let kind = fs::symlink_metadata(path)?.file_type();
    Ok(match (kind.is_dir(), kind.is_symlink()) {
        (true, _) => "folder",
        (_, true) => "link",
        _ => "file",
    })
}

fn processes() -> io::Result<()> {
    let ourselves = env::current_exe()?;
    let mut child = Command::new(&ourselves)
        .args(["child", "with spaces", ""])
        .env("GREETING", "hello")
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(&[b'x'; 100_000])?;
    }
    let output = child.wait_with_output()?;
    println!("child: {:?}", output.status.code());
    println!(
        "it said: {}",
        String::from_utf8_lossy(&output.stdout).trim()
    );
    println!("and: {}", String::from_utf8_lossy(&output.stderr).trim());

    let mut sleeper = Command::new(&ourselves)
        .arg("child")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let running = sleeper.try_wait()?.is_none();
    sleeper.kill()?;
    println!("killed: {running}, {}", sleeper.wait()?);

    let missing = Command::new("/no/such/program")
        .status()
        .map_err(|e| e.kind());
    println!("no such program: {:?}", missing.err());
    Ok(())
}

fn environment() {
    println!("arguments: {:?}", env::args().skip(1).collect::<Vec<_>>());
    println!("SETTING: {:?}", env::var("SETTING"));
    println!("NOT_SET: {:?}", env::var("NOT_SET"));
    println!("processors: {}", thread::available_parallelism().is_ok());
}

fn time() -> io::Result<()> {
    let started = Instant::now();
    thread::sleep(Duration::from_millis(30));
    let slept = started.elapsed();
    println!(
        "slept: {}",
        slept >= Duration::from_millis(30) && slept < Duration::from_secs(20)
    );
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    println!(
        "after 2020: {}",
        now.is_ok_and(|now| now.as_secs() > 1_577_836_800)
    );
    let (sender, receiver) = mpsc::channel::<()>();
    let waited = receiver.recv_timeout(Duration::from_millis(20));
    drop(sender);
    println!("nothing came: {waited:?}");
    Ok(())
}

/// A panic unwinds: what was borrowed is dropped, and it can be caught.
fn panics() {
    struct Dropped<'a>(&'a AtomicU64);
    impl Drop for Dropped<'_> {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    panic::set_hook(Box::new(|_| {}));
    let dropped = AtomicU64::new(0);
    let caught = panic::catch_unwind(panic::AssertUnwindSafe(|| {
        let _first = Dropped(&dropped);
        let _second = Dropped(&dropped);
        let nothing: Vec<u8> = Vec::new();
        nothing[dropped.load(Ordering::Relaxed) as usize]
    }));
    println!(
        "caught: {}, dropped: {}",
        caught.is_err(),
        dropped.load(Ordering::Relaxed)
    );
    let joined = thread::spawn(|| panic!("in a thread")).join();
    let said = joined
        .err()
        .and_then(|what| what.downcast_ref::<&str>().map(|s| s.to_string()));
    println!("from a thread: {said:?}");
}

/// What does not fit into an integer becomes the nearest one; C has other results, on many processors.
fn numbers() {
    for number in [1e20, -1e20, 3.9e9, -1.0, 255.5, f64::NAN, f64::INFINITY].map(black_box) {
        println!(
            "{number:e} as integers: {} {} {} {} {} {}",
            number as i32,
            number as u32,
            number as i64,
            number as u64,
            number as u8,
            number as f32 as i32
        );
    }
    let (large, small) = black_box((u128::MAX - 12_345, -7_i128));
    println!("divided: {} {}", large / 1_000_007, small % 3);
}
