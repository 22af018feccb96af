//! Threads with a name, an affinity and a priority.

use std::io;
use std::sync::mpsc::sync_channel;
use std::thread::{Builder, JoinHandle};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use thread_priority::{
    RealtimeThreadSchedulePolicy, ThreadPriority, ThreadPriorityValue, ThreadSchedulePolicy,
    set_thread_priority_and_policy, thread_native_id,
};

use crate::error::ThreadError;
use crate::name::check_name;

/// The name of a thread without a name.
pub(super) const DEFAULT_NAME: &str = "cortex";

/// Name, affinity and priority of a thread.
///
/// # Examples
///
/// ```
/// use cortex_std::ThreadOptions;
///
/// let control = ThreadOptions { cores: vec![0], ..ThreadOptions::named("control") };
/// # drop(control);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ThreadOptions {
    /// Name of the thread in logs and debuggers, which show its first 15 bytes; empty for a name by the
    /// thread's purpose.
    pub name: String,
    /// The cores that may run the thread, from 0; empty for those of its creator.
    pub cores: Vec<usize>,
    /// Priority under SCHED_FIFO, 1 to 99: the thread runs before every thread without one, until it
    /// waits. Needs `CAP_SYS_NICE` or a limit (`ulimit -r`) as high.
    pub fifo_priority: Option<u8>,
}

impl ThreadOptions {
    /// The defaults, with a name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self { name: name.to_owned(), ..Self::default() }
    }

    /// The same options, with this name unless they have one.
    pub(crate) fn or_named(mut self, name: &str) -> Self {
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
        }
        self
    }

    /// Applies affinity and priority to this thread.
    fn apply(&self) -> Result<(), ThreadError> {
        if !self.cores.is_empty() {
            set_cores(&self.cores)
                .map_err(|source| ThreadError::Affinity { cores: self.cores.clone(), source })?;
        }
        if let Some(priority) = self.fifo_priority {
            set_fifo(priority).map_err(|source| ThreadError::Scheduling { priority, source })?;
        }
        Ok(())
    }
}

/// Starts a thread with these options; where the system refuses them, `body` does not run.
///
/// # Errors
///
/// `Name`, `Start`, `Affinity`, `Scheduling`.
pub(crate) fn spawn(
    options: ThreadOptions,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, ThreadError> {
    let options = options.or_named(DEFAULT_NAME);
    check_name("thread", &options.name)?;
    let (report, reported) = sync_channel(1);
    let thread = Builder::new()
        .name(options.name.clone())
        .spawn(move || {
            let applied = options.apply();
            let is_ready = applied.is_ok();
            // The creator waits for this report.
            let _ = report.send(applied);
            if is_ready {
                body();
            }
        })
        .map_err(ThreadError::Start)?;
    match reported.recv() {
        Ok(Ok(())) => Ok(thread),
        Ok(Err(refused)) => {
            // The thread ends on its own; joining it leaves nothing behind.
            let _ = thread.join();
            Err(refused)
        }
        Err(_) => Err(ThreadError::Start(io::Error::other("the thread ended at once"))),
    }
}

fn set_cores(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such core"));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set)?;
    // The kernel leaves out cores that it does not have and is content if one remains.
    let granted = sched_getaffinity(None)?;
    if cores.iter().all(|&core| granted.is_set(core)) {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::InvalidInput, "no such core"))
    }
}

fn set_fifo(priority: u8) -> io::Result<()> {
    let invalid = |reason: String| io::Error::new(io::ErrorKind::InvalidInput, reason);
    if !(1..=99).contains(&priority) {
        return Err(invalid("priorities go from 1 to 99".to_owned()));
    }
    let value = ThreadPriorityValue::try_from(priority).map_err(invalid)?;
    let priority = ThreadPriority::Crossplatform(value);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    match set_thread_priority_and_policy(thread_native_id(), priority, policy) {
        Ok(()) => Ok(()),
        Err(thread_priority::Error::OS(errno)) => Err(io::Error::from_raw_os_error(errno)),
        Err(other) => Err(invalid(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_has_its_name_and_runs_on_its_cores() {
        let core = sched_getaffinity(None).map(|set| (0..64).find(|&core| set.is_set(core)));
        let core = core.unwrap().unwrap();
        let (sender, receiver) = channel();
        let options = ThreadOptions { cores: vec![core], ..ThreadOptions::named("bound") };
        let thread = spawn(options, move || {
            let set = sched_getaffinity(None).unwrap();
            let name = std::thread::current().name().map(str::to_owned);
            sender.send((name, set.count(), set.is_set(core))).unwrap();
        });
        thread.unwrap().join().unwrap();
        assert_eq!(receiver.recv().unwrap(), (Some("bound".to_owned()), 1, true));
    }

    #[test]
    fn refused_options_are_returned_and_the_body_does_not_run() {
        let refused = |options: ThreadOptions| {
            let (sender, receiver) = channel::<()>();
            let result = spawn(options, move || sender.send(()).unwrap_or(()));
            assert!(receiver.recv().is_err(), "it ran");
            result.unwrap_err()
        };
        let on = |cores: &[usize]| ThreadOptions { cores: cores.to_vec(), ..Default::default() };
        assert!(matches!(refused(on(&[1000])), ThreadError::Affinity { .. }));
        assert!(matches!(refused(on(&[0, 1000])), ThreadError::Affinity { .. }));
        assert!(matches!(refused(on(&[usize::MAX])), ThreadError::Affinity { .. }));
        let fifo =
            |priority| ThreadOptions { fifo_priority: Some(priority), ..ThreadOptions::default() };
        for priority in [0, 100, 255] {
            let error = refused(fifo(priority));
            assert!(matches!(error, ThreadError::Scheduling { .. }), "{error}");
            assert!(std::error::Error::source(&error).is_some());
        }
        let error = refused(ThreadOptions::named("two\0names"));
        assert!(matches!(error, ThreadError::Name(_)));
    }

    #[test]
    fn a_fifo_thread_is_one_or_says_why_not() {
        let (sender, receiver) = channel();
        let options = ThreadOptions { fifo_priority: Some(7), ..ThreadOptions::named("fifo") };
        let thread = spawn(options, move || {
            let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
            // Fields 40 and 41 of proc(5), counted from behind the name.
            let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
            sender.send((fields[37].to_owned(), fields[38].to_owned())).unwrap();
        });
        match thread {
            Ok(thread) => {
                thread.join().unwrap();
                assert_eq!(receiver.recv().unwrap(), ("7".to_owned(), "1".to_owned()));
            }
            Err(ThreadError::Scheduling { priority: 7, source }) => {
                assert_eq!(source.kind(), io::ErrorKind::PermissionDenied);
            }
            Err(other) => panic!("{other}"),
        }
    }
}
