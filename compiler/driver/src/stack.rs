//! The checker recurses over the program, whose depth the user chooses; limits of the language keep it below this stack.

const BYTES: usize = 256 << 20;

/// Runs `work` on a thread with room for deep recursion. A panic in it goes on in the caller.
pub fn with_big_stack<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let spawned =
            std::thread::Builder::new().name("checker".into()).stack_size(BYTES).spawn_scoped(scope, work);
        let handle = spawned.expect("a thread can be started");
        match handle.join() {
            Ok(value) => value,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}
