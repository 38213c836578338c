use std::sync::atomic::AtomicU64;
use std::sync::mpsc::{SyncSender, sync_channel};

use super::*;

const LATEST: Duration = Duration::from_secs(20);
/// What was lost is said at once, and again whenever it is more.
const LIMITS: Limits = Limits { room: 1 << 20, said_every: Duration::ZERO };

/// A pipe: what is written into it, piece by piece, and whoever writes waits for its reader.
struct Pipe(SyncSender<Vec<u8>>);

impl Write for Pipe {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        self.0.send(piece.to_vec()).map_err(io::Error::other)?;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn nothing(_lost: u64) {}

#[test]
fn lines_come_in_order_and_a_piece_has_whole_ones() {
    let (pipe, pieces) = sync_channel(0);
    let queue = LogQueue::start(Pipe(pipe), LIMITS, nothing).unwrap();
    let reader = thread::spawn(move || pieces.iter().collect::<Vec<_>>());
    let lines: Vec<String> = (0..1_000).map(|number| format!("{number} {}\n", "x".repeat(number))).collect();
    for line in &lines {
        queue.add(line.as_bytes());
    }
    queue.add("y".repeat(3 * PIECE).as_bytes());
    queue.add(b"\n");
    queue.flush(LATEST);
    drop(queue);
    let pieces = reader.join().unwrap();
    let text = String::from_utf8(pieces.concat()).unwrap();
    assert_eq!(text, lines.concat() + &"y".repeat(3 * PIECE) + "\n");
    assert!(pieces.len() < lines.len(), "what waits is written together");
    let whole = pieces.iter().filter(|piece| piece.ends_with(b"\n")).count();
    assert_eq!(whole, pieces.len() - 1, "all but the line that is longer than a piece");
}

#[test]
fn what_is_flushed_has_been_written() {
    let (pipe, pieces) = sync_channel(10);
    let queue = LogQueue::start(Pipe(pipe), LIMITS, nothing).unwrap();
    for number in 0..10 {
        queue.add(format!("{number}\n").as_bytes());
        queue.flush(LATEST);
        assert_eq!(pieces.try_recv().unwrap(), format!("{number}\n").as_bytes());
    }
}

#[test]
fn a_pipe_that_is_not_read_holds_nothing_up_and_what_is_lost_is_said() {
    static SAID: AtomicU64 = AtomicU64::new(0);

    let (pipe, pieces) = sync_channel(0);
    let queue = LogQueue::start(Pipe(pipe), LIMITS, |lost| SAID.store(lost, Ordering::SeqCst)).unwrap();
    let line = [b"x".repeat(1_023).as_slice(), b"\n"].concat();
    for _ in 0..2_000 {
        queue.add(&line);
    }
    let lost = queue.state.lost.load(Ordering::SeqCst);
    assert!(lost > 1_000 && lost < 1_100, "{lost}");
    let began = Instant::now();
    queue.flush(Duration::from_millis(10));
    assert!(began.elapsed() < LATEST);

    let reader = thread::spawn(move || pieces.iter().map(|piece| piece.len()).sum::<usize>());
    queue.flush(LATEST);
    assert_eq!(SAID.load(Ordering::SeqCst), lost);
    queue.add(&line);
    queue.flush(LATEST);
    assert_eq!(queue.state.lost.load(Ordering::SeqCst), lost, "there is room again");
    drop(queue);
    assert_eq!(reader.join().unwrap() as u64, (2_001 - lost) * line.len() as u64);
}

#[test]
fn a_pipe_that_is_closed_is_not_reported_to_itself_for_ever() {
    static SAID: AtomicU64 = AtomicU64::new(0);

    let (pipe, pieces) = sync_channel(0);
    drop(pieces);
    let limits = Limits { said_every: Duration::from_secs(3_600), ..LIMITS };
    let queue = LogQueue::start(Pipe(pipe), limits, |_| _ = SAID.fetch_add(1, Ordering::SeqCst)).unwrap();
    for _ in 0..100 {
        queue.add(b"x".repeat(PIECE).as_slice());
        queue.flush(LATEST);
    }
    assert_eq!(SAID.load(Ordering::SeqCst), 1);
    assert_eq!(queue.state.lost.load(Ordering::SeqCst), 100);
}
