//! The whole path in one command: a daemon and a camera in this process, a viewer in another one.
//!
//! `cargo run --release --bin demo`
//! `cargo run --release --bin demo -- --frames 90 --png last.png`
//!
//! The camera paints a robot that drives through hills. The viewer measures rate, latency and losses,
//! shows them in a live line, and saves the last received frame as a PNG.

use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::rc::Rc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use clap::Parser;
use cortex_std::discovery::Daemon;
use cortex_std::wire::{Header, ImageMessage};
use cortex_std::{MissedTicks, Node, NodeHandle};
use hdrhistogram::Histogram;

const TOPIC: &str = "/cam/frame";
const HEIGHT: usize = 480;
const WIDTH: usize = 640;
const FRAMES_PER_SECOND: u32 = 30;

/// Camera, discovery and viewer: the whole path in one command.
#[derive(Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Frames to send; 0 runs until Ctrl-C.
    #[arg(long, default_value_t = 300)]
    frames: u64,
    /// File for the last received frame.
    #[arg(long, value_name = "PATH", default_value = "cortex-demo.png")]
    png: PathBuf,
    /// Runs only the viewer, with this daemon: the demo starts its second process so.
    #[arg(long, value_name = "ADDRESS", hide = true)]
    viewer: Option<String>,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env()
                .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn")),
        )
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
    let arguments = Arguments::parse();
    let result = match &arguments.viewer {
        Some(discovery) => view(discovery, &arguments).await,
        None => film(&arguments).await,
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("demo: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The first process: discovery, camera, and the viewer as its child.
async fn film(arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let daemon = Daemon::bind(&format!("ipc://{}/discovery.sock", folder.path().display()))?;
    let daemon = daemon.spawn()?;
    let node = Node::builder("camera").discovery(daemon.address()).create()?;
    let frames = node.publisher::<ImageMessage>(TOPIC).create()?;
    println!("discovery {}\ncamera    {}", daemon.address(), frames.address());
    println!("look at   CORTEX_DISCOVERY={} cortex topic hz --all", daemon.address());

    let mut viewer = Command::new(std::env::current_exe()?)
        .args(["--viewer", daemon.address(), "--frames", &arguments.frames.to_string(), "--png"])
        .arg(&arguments.png)
        .stdin(Stdio::piped())
        .spawn()?;
    // The viewer ends when this pipe does, so it never outlives this process.
    let mut lifeline = viewer.stdin.take();
    let handle = node.handle();
    let viewer = std::thread::spawn(move || {
        let status = viewer.wait();
        handle.shutdown();
        status
    });

    // The camera starts when the viewer has subscribed, so that the viewer misses no frame.
    if frames.wait_for_subscribers(1, Duration::from_secs(10)).await.is_ok() {
        let count = match arguments.frames {
            0 => u64::MAX,
            count => count,
        };
        let lifeline = Rc::new(RefCell::new(lifeline.take()));
        let (mut sent, mut done) = (0, None);
        let camera = node.timer_builder(Duration::from_secs(1) / FRAMES_PER_SECOND);
        // On a machine that is too slow to paint in time, `Skip` avoids a backlog of frames.
        camera.missed_ticks(MissedTicks::Skip).on_tick(async move |_| {
            if sent == count {
                // The viewer ends with the last frame. If it lost that one, it ends a second later,
                // when the pipe closes.
                let done = *done.get_or_insert_with(Instant::now);
                if done.elapsed() > Duration::from_secs(1) {
                    lifeline.borrow_mut().take();
                }
                return cortex_std::ok();
            }
            let mut pixels = frames.loan::<u8>(&[HEIGHT, WIDTH, 3])?;
            paint(&mut pixels, sent);
            sent += 1;
            pixels.publish(|pixels| ImageMessage::new(pixels, "rgb8"))?;
            cortex_std::ok()
        });
        node.run().await?;
    } else {
        eprintln!("demo: the viewer did not subscribe within 10 s");
    }
    drop(lifeline);
    drop(node);
    let status = viewer.join().map_err(|_| "the thread that waits for the viewer panicked")??;
    daemon.stop();
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The second process: receives, measures, prints.
async fn view(discovery: &str, arguments: &Arguments) -> Result<ExitCode, Box<dyn Error>> {
    let node = Node::builder("viewer").discovery(discovery).create()?;
    end_with_parent(node.handle());
    let seen = Rc::new(RefCell::new(Seen::new()?));
    let (last, handle) = (arguments.frames.checked_sub(1), node.handle());
    let watcher = Rc::clone(&seen);
    let counters =
        node.subscriber::<ImageMessage>(TOPIC).on_message(async move |image, header| {
            watcher.borrow_mut().record(&image, header);
            if last.is_some_and(|last| header.sequence >= last) {
                handle.shutdown();
            }
        })?;
    let (line, live) = (Rc::clone(&seen), counters.clone());
    let is_terminal = std::io::stdout().is_terminal();
    let period = Duration::from_millis(if is_terminal { 100 } else { 1000 });
    node.timer_builder(period).first_after_period().on_tick(async move |_| {
        let text = line.borrow().line(live.stats().lost);
        // On a terminal each line overwrites the last one.
        print!("{}", if is_terminal { format!("\r{text}\x1b[K") } else { text + "\n" });
        std::io::stdout().flush()
    });
    node.run().await?;

    let seen = seen.borrow();
    let stats = counters.stats();
    println!("{}{}", if is_terminal { "\r" } else { "" }, seen.line(stats.lost));
    println!(
        "received {} frames of {WIDTH} x {HEIGHT} in {:.1} s, {} lost, {} rejected",
        stats.received,
        seen.duration().as_secs_f64(),
        stats.lost,
        stats.rejected.total(),
    );
    if seen.frame.is_empty() {
        println!("no frame to save");
        return Ok(ExitCode::FAILURE);
    }
    save_png(&arguments.png, &seen.frame)?;
    println!("last frame saved as {}", arguments.png.display());
    Ok(ExitCode::SUCCESS)
}

/// Shuts the node down when the parent process has ended.
fn end_with_parent(handle: NodeHandle) {
    std::thread::spawn(move || {
        // The parent never writes: the pipe is closed when it ends.
        if let Err(error) = std::io::stdin().read_to_end(&mut Vec::new()) {
            eprintln!("viewer: {error}");
        }
        handle.shutdown();
    });
}

/// The measurements of the viewer.
struct Seen {
    first: Option<Instant>,
    last: Option<Instant>,
    count: u32,
    sequence: u64,
    /// Microseconds from publishing to the callback.
    latency: Histogram<u64>,
    frame: Vec<u8>,
}

impl Seen {
    fn new() -> Result<Self, Box<dyn Error>> {
        let latency = Histogram::new_with_bounds(1, 60_000_000, 3)?;
        Ok(Self { first: None, last: None, count: 0, sequence: 0, latency, frame: Vec::new() })
    }

    fn record(&mut self, image: &ImageMessage<'_>, header: Header) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let sent = Duration::from_nanos(header.timestamp_ns);
        let micros = now.saturating_sub(sent).as_micros();
        self.latency.saturating_record(u64::try_from(micros).unwrap_or(u64::MAX));
        self.last = Some(Instant::now());
        self.first = self.first.or(self.last);
        self.count += 1;
        self.sequence = header.sequence;
        // The image is valid only in the callback, so the frame is copied.
        image.data.data().clone_into(&mut self.frame);
    }

    fn duration(&self) -> Duration {
        match (self.first, self.last) {
            (Some(first), Some(last)) => last - first,
            _ => Duration::ZERO,
        }
    }

    fn line(&self, lost: u64) -> String {
        let seconds = self.duration().as_secs_f64();
        let fps = if seconds > 0.0 { f64::from(self.count - 1) / seconds } else { 0.0 };
        let millis = |quantile| self.latency.value_at_quantile(quantile) as f64 / 1000.0;
        format!(
            "viewer    [{:>5}] {fps:>5.1} fps   latency p50 {:.2} ms  p99 {:.2} ms   lost {lost}",
            self.sequence,
            millis(0.5),
            millis(0.99),
        )
    }
}

fn save_png(path: &Path, pixels: &[u8]) -> Result<(), Box<dyn Error>> {
    let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut encoder = png::Encoder::new(BufWriter::new(file), WIDTH as u32, HEIGHT as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.set_depth(png::BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(pixels)?;
    writer.finish()?;
    Ok(())
}

/// Paints frame `index`: a robot on wheels that drives through hills under a sun.
fn paint(pixels: &mut [u8], index: u64) {
    let time = index as f32 / FRAMES_PER_SECOND as f32;
    let robot = (time * 120.0) % (WIDTH as f32 + 200.0) - 100.0;
    for (at, pixel) in pixels.chunks_exact_mut(3).enumerate() {
        let (x, y) = ((at % WIDTH) as f32, (at / WIDTH) as f32);
        pixel.copy_from_slice(&colour(x, y, time, robot));
    }
}

fn colour(x: f32, y: f32, time: f32, robot: f32) -> [u8; 3] {
    const GROUND: f32 = 380.0;
    let within = |cx: f32, cy: f32, radius: f32| (x - cx).hypot(y - cy) <= radius;
    let inside = |left: f32, top: f32, width: f32, height: f32| {
        (left..left + width).contains(&x) && (top..top + height).contains(&y)
    };
    let wheel = |cx: f32| {
        // The spokes turn as the wheel rolls.
        let angle = (y - GROUND).atan2(x - cx) - robot / 26.0;
        let spoke = (angle * 2.0).sin().abs() < 0.25;
        within(cx, GROUND, 26.0).then(|| match (within(cx, GROUND, 18.0), spoke) {
            (true, true) => [200, 200, 205],
            (true, false) => [70, 70, 78],
            (false, _) => [28, 28, 32],
        })
    };
    if let Some(colour) = wheel(robot - 38.0).or_else(|| wheel(robot + 38.0)) {
        return colour;
    }
    if within(robot + 14.0, GROUND - 112.0, 7.0) {
        return [90, 230, 255];
    }
    if within(robot, GROUND - 158.0, 6.0) {
        return [230, 60, 50];
    }
    if inside(robot - 28.0, GROUND - 134.0, 62.0, 44.0)
        || inside(robot - 1.5, GROUND - 158.0, 3.0, 26.0)
    {
        return [225, 228, 235];
    }
    if inside(robot - 62.0, GROUND - 88.0, 124.0, 72.0) {
        let stripe = inside(robot - 62.0, GROUND - 58.0, 124.0, 10.0);
        return if stripe { [245, 245, 245] } else { [235, 120, 40] };
    }
    if y >= GROUND + 18.0 {
        let dash = ((x + time * 40.0) / 40.0) as i32 % 2 == 0 && (430.0..436.0).contains(&y);
        return if dash { [220, 220, 200] } else { [96, 100, 104] };
    }
    let hill = |height: f32, length: f32, speed: f32| {
        GROUND - height + ((x + time * speed) / length).sin() * height * 0.45
    };
    if y > hill(60.0, 70.0, 30.0) {
        return [70, 140, 70];
    }
    if y > hill(130.0, 120.0, 12.0) {
        return [110, 160, 120];
    }
    if within(520.0, 90.0, 42.0) {
        return [255, 226, 120];
    }
    let fade = y / GROUND;
    [(110.0 + 110.0 * fade) as u8, (170.0 + 60.0 * fade) as u8, 245]
}
