//! The thread that owns a connection: SQLite's calls block, and a lock may keep one waiting.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    thread,
};

use super::desk::Desk;

/// A piece of work.
pub(super) type Task = Box<dyn FnOnce(&mut Desk) + Send>;

/// Tells whether the caller has left, so that nothing need be begun for it any more.
pub(super) type Gone<'a> = &'a dyn Fn() -> bool;

/// A thread that works off tasks in order. Once the worker is dropped the thread ends what it was
/// given and then itself. Nobody joins it: it may be waiting for a lock that another process holds,
/// and who dropped the worker waits for no answer.
#[derive(Debug)]
pub(super) struct Worker {
    tasks: mpsc::Sender<Task>,
    unfinished: Arc<AtomicUsize>,
}

impl Worker {
    /// Starts a thread at `desk`.
    pub(super) fn start(mut desk: Desk) -> io::Result<Self> {
        let (tasks, inbox) = mpsc::channel::<Task>();
        let unfinished = Arc::new(AtomicUsize::new(0));
        let left = Arc::clone(&unfinished);
        thread::Builder::new().name("ledger".to_owned()).spawn(move || {
            for task in inbox {
                task(&mut desk);
                left.fetch_sub(1, Ordering::Release);
            }
        })?;
        Ok(Self { tasks, unfinished })
    }

    /// Hands over a task; gives it back if the thread is gone.
    pub(super) fn give(&self, task: Task) -> Result<(), Task> {
        self.unfinished.fetch_add(1, Ordering::Acquire);
        self.tasks.send(task).map_err(|mpsc::SendError(task)| task)
    }

    /// Whether a task given now would begin at once.
    pub(super) fn is_idle(&self) -> bool {
        self.unfinished.load(Ordering::Acquire) == 0
    }
}
