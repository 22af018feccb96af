//! libzmq's error numbers.

use std::ffi::c_int;

use crate::transport::error::SocketError;

/// The error that libzmq left for this thread.
pub(super) fn last_error(operation: &'static str, address: Option<&str>) -> SocketError {
    SocketError::from_errno(last_errno(), operation, address)
}

/// The error number of this thread's last failed libzmq call.
pub(super) fn last_errno() -> c_int {
    // SAFETY: reads a thread-local number; has no precondition.
    unsafe { zmq_sys::zmq_errno() }
}

#[cfg(test)]
mod tests {
    use zmq_sys::errno;

    use crate::transport::error::zmq_errno;

    #[test]
    fn the_numbers_are_those_of_the_library() {
        assert_eq!(zmq_errno::EFSM, errno::EFSM);
        assert_eq!(zmq_errno::ENOCOMPATPROTO, errno::ENOCOMPATPROTO);
        assert_eq!(zmq_errno::ETERM, errno::ETERM);
        assert_eq!(zmq_errno::EMTHREAD, errno::EMTHREAD);
    }
}
