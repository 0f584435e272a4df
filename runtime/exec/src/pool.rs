//! A pool of threads that waits for kernels.
//!
//! One word holds the pool's whole state: a generation number, whether its job may still be joined, and how many workers
//! are inside. A worker joins by raising the count while the job is open; the caller takes part, closes the job when no
//! block is left and waits for the count to fall to zero. So a worker that sleeps, or that the system does not run, holds
//! nobody up, and the memory behind `cx` is never touched after the call.
//!
//! Each thread begins with a share of the blocks of its own, the same ones in every job of so many, so that what they read
//! is still in its caches; then it helps the others.
#![allow(unsafe_code, reason = "runs kernels of compiled code on several threads")]

use crate::{Kernel, ParallelFor};
use base::Diagnostic;
use std::{
    cell::Cell,
    ffi::c_void,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicI64, AtomicPtr, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};

/// Persistent threads; the one that calls compiled code counts as one of them.
pub struct Pool {
    /// Compiled code gets its address, so it may not move with the pool.
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// `generation << 33 | open << 32 | workers inside`.
    state: AtomicU64,
    kernel: AtomicPtr<c_void>,
    cx: AtomicPtr<c_void>,
    /// Blocks handed out at once.
    grain: AtomicI64,
    /// One a thread, that of the caller first.
    shares: Vec<Share>,
    /// Held by the thread whose job it is; a second caller runs its work alone.
    caller: Mutex<()>,
    sleepers: AtomicU64,
    sleeping: Mutex<()>,
    wake: Condvar,
    stop: AtomicBool,
}

/// The blocks of one thread's share that nobody has taken yet; on cache lines of its own.
#[derive(Default)]
#[repr(align(128))]
struct Share {
    next: AtomicI64,
    end: AtomicI64,
}

const OPEN: u64 = 1 << 32;
const GENERATION: u64 = 1 << 33;
const INSIDE: u64 = OPEN - 1;

/// Turns of the waiting loop before a worker sleeps: some tens of microseconds, longer than the gap between two kernels.
const SPINS: u32 = 4000;

/// Ranges handed out per thread: enough that a slow thread does not hold up the end, few enough to stay cheap.
const RANGES_PER_THREAD: i64 = 8;

thread_local! {
    /// Set while this thread runs blocks: what they start runs serially.
    static INSIDE_JOB: Cell<bool> = const { Cell::new(false) };
}

/// The cores that this process may use, affinity and cgroup quota included.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Pool {
    /// A pool of `threads` threads including the caller's; 0 asks for [`default_threads`].
    pub fn new(threads: usize) -> Result<Pool, Diagnostic> {
        let threads = if threads == 0 { default_threads() } else { threads };
        let shared = Arc::new(Shared::new(threads));
        let mut pool = Pool { shared, workers: Vec::new() };
        for number in 1..threads {
            let shared = pool.shared.clone();
            let started = std::thread::Builder::new()
                .name(format!("kernel-{number}"))
                .spawn(move || shared.work(number));
            pool.workers.push(started.map_err(|fault| {
                Diagnostic::error("E0809", format!("thread {number} of {threads} did not start: {fault}"))
            })?);
        }
        Ok(pool)
    }

    pub fn threads(&self) -> usize {
        self.shared.shares.len()
    }

    /// What compiled code takes as `parallel_for` and `pool`. With one thread it calls its kernels itself.
    pub fn handle(&self) -> (Option<ParallelFor>, *mut c_void) {
        if self.threads() == 1 {
            return (None, std::ptr::null_mut());
        }
        (Some(parallel_for), Arc::as_ptr(&self.shared).cast_mut().cast())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        {
            let _guard = lock(&self.shared.sleeping);
            self.shared.wake.notify_all();
        }
        for worker in self.workers.drain(..) {
            // A worker runs nothing that panics.
            let _ = worker.join();
        }
    }
}

/// See [`ParallelFor`]. `pool` comes from [`Pool::handle`].
unsafe extern "C" fn parallel_for(pool: *mut c_void, kernel: Kernel, cx: *mut c_void, blocks: i64) {
    // SAFETY: the handle is the address of the `Shared` of a pool that is borrowed for the whole call.
    let shared = unsafe { &*pool.cast_const().cast::<Shared>() };
    shared.run(kernel, cx, blocks);
}

fn lock(mutex: &Mutex<()>) -> MutexGuard<'_, ()> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    fn new(threads: usize) -> Shared {
        Shared {
            state: AtomicU64::new(0),
            kernel: AtomicPtr::new(std::ptr::null_mut()),
            cx: AtomicPtr::new(std::ptr::null_mut()),
            grain: AtomicI64::new(1),
            shares: (0..threads).map(|_| Share::default()).collect(),
            caller: Mutex::new(()),
            sleepers: AtomicU64::new(0),
            sleeping: Mutex::new(()),
            wake: Condvar::new(),
            stop: AtomicBool::new(false),
        }
    }

    fn run(&self, kernel: Kernel, cx: *mut c_void, blocks: i64) {
        if blocks <= 0 {
            return;
        }
        let turn = if blocks > 1 && !INSIDE_JOB.get() { self.turn() } else { None };
        let Some(_turn) = turn else {
            // SAFETY: compiled code vouches for `kernel` and `cx`; one call for all blocks is one of the allowed ways.
            unsafe { kernel(cx, 0, blocks) };
            return;
        };
        // The job is closed and nobody is inside: these words are this thread's alone until the state is stored.
        self.kernel.store(kernel as *mut c_void, Ordering::Relaxed);
        self.cx.store(cx, Ordering::Relaxed);
        let threads = self.shares.len() as i64;
        self.grain.store((blocks / (threads * RANGES_PER_THREAD)).max(1), Ordering::Relaxed);
        let (each, more) = (blocks / threads, blocks % threads);
        let mut first = 0;
        for (share, number) in self.shares.iter().zip(0..) {
            let end = first + each + i64::from(number < more);
            share.next.store(first, Ordering::Relaxed);
            share.end.store(end, Ordering::Relaxed);
            first = end;
        }
        let generation = (self.state.load(Ordering::Relaxed) & !(OPEN | INSIDE)).wrapping_add(GENERATION);
        self.state.store(generation | OPEN, Ordering::SeqCst);
        if self.sleepers.load(Ordering::SeqCst) > 0 {
            let _guard = lock(&self.sleeping);
            self.wake.notify_all();
        }
        self.take_blocks(0, kernel, cx);
        self.state.fetch_and(!OPEN, Ordering::SeqCst);
        let mut turns = 0u32;
        while self.state.load(Ordering::Acquire) & INSIDE != 0 {
            turns += 1;
            pause(turns);
        }
    }

    /// The right to be the one caller, unless another thread has it.
    fn turn(&self) -> Option<MutexGuard<'_, ()>> {
        match self.caller.try_lock() {
            Ok(turn) => Some(turn),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    fn take_blocks(&self, number: usize, kernel: Kernel, cx: *mut c_void) {
        let grain = self.grain.load(Ordering::Relaxed);
        INSIDE_JOB.set(true);
        let (before, own) = self.shares.split_at(number);
        for share in own.iter().chain(before) {
            let end = share.end.load(Ordering::Relaxed);
            loop {
                let from = share.next.fetch_add(grain, Ordering::Relaxed);
                if from >= end {
                    break;
                }
                // SAFETY: each range of blocks is handed out once; compiled code allows ranges on several threads at
                // once.
                unsafe { kernel(cx, from, end.min(from.saturating_add(grain))) };
            }
        }
        INSIDE_JOB.set(false);
    }

    /// A worker's life.
    fn work(&self, number: usize) {
        let mut served = 0;
        while let Some(state) = self.wait_for_job(served) {
            let joined = state + 1;
            if self.state.compare_exchange(state, joined, Ordering::SeqCst, Ordering::Relaxed).is_err() {
                continue;
            }
            served = generation(state);
            // SAFETY: inside an open job the word holds the function that the caller stored before opening it.
            let kernel =
                unsafe { std::mem::transmute::<*mut c_void, Kernel>(self.kernel.load(Ordering::Relaxed)) };
            self.take_blocks(number, kernel, self.cx.load(Ordering::Relaxed));
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    /// The state of an open job that is not `served`, or `None` when the pool ends.
    fn wait_for_job(&self, served: u64) -> Option<u64> {
        let ready = |state: u64| state & OPEN != 0 && generation(state) != served;
        for turns in 0..SPINS {
            let state = self.state.load(Ordering::SeqCst);
            if ready(state) {
                return Some(state);
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            if turns % 64 == 63 {
                std::thread::yield_now();
            } else {
                std::hint::spin_loop();
            }
        }
        let mut guard = lock(&self.sleeping);
        self.sleepers.fetch_add(1, Ordering::SeqCst);
        // Whoever opens a job after this sees the sleeper, and has to take the lock to wake it.
        let found = loop {
            let state = self.state.load(Ordering::SeqCst);
            if ready(state) {
                break Some(state);
            }
            if self.stop.load(Ordering::SeqCst) {
                break None;
            }
            guard = self.wake.wait(guard).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, Ordering::SeqCst);
        found
    }
}

fn generation(state: u64) -> u64 {
    state & !(OPEN | INSIDE)
}

fn pause(turns: u32) {
    if turns.is_multiple_of(64) {
        std::thread::yield_now();
    } else {
        std::hint::spin_loop();
    }
}
