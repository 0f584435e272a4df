//! The thread pool under load: every block once, from any number of threads, nested and contended.
#![allow(unsafe_code, reason = "plays the part of compiled code")]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use exec::{Kernel, ParallelFor, Pool};
use std::{
    ffi::c_void,
    sync::atomic::{AtomicU64, Ordering},
};

struct Job {
    hits: Vec<AtomicU64>,
    parallel_for: Option<ParallelFor>,
    pool: *mut c_void,
    nested: i64,
}

// The pool's handle may be used from any thread.
unsafe impl Send for Job {}
unsafe impl Sync for Job {}

unsafe extern "C" fn hit(cx: *mut c_void, from: i64, to: i64) {
    let job = unsafe { &*cx.cast::<Job>() };
    for block in from..to {
        job.hits[block as usize].fetch_add(1, Ordering::Relaxed);
    }
}

unsafe extern "C" fn nest(cx: *mut c_void, from: i64, to: i64) {
    let job = unsafe { &*cx.cast::<Job>() };
    for _ in from..to {
        dispatch(job, hit, job.nested);
    }
}

fn dispatch(job: &Job, kernel: Kernel, blocks: i64) {
    let cx = std::ptr::from_ref(job).cast_mut().cast::<c_void>();
    match job.parallel_for {
        Some(parallel_for) => unsafe { parallel_for(job.pool, kernel, cx, blocks) },
        None => unsafe { kernel(cx, 0, blocks) },
    }
}

fn job(pool: &Pool, blocks: usize, nested: i64) -> Job {
    let (parallel_for, handle) = pool.handle();
    Job { hits: (0..blocks).map(|_| AtomicU64::new(0)).collect(), parallel_for, pool: handle, nested }
}

fn all_are(job: &Job, count: u64) -> bool {
    job.hits.iter().all(|hits| hits.load(Ordering::Relaxed) == count)
}

#[test]
fn every_block_runs_once() {
    for threads in [1, 2, 4] {
        let pool = Pool::new(threads).unwrap();
        assert_eq!(pool.threads(), threads);
        for round in 0..4000 {
            let blocks = [1, 2, 3, 7, 64, 1000][round % 6];
            let job = job(&pool, blocks, 0);
            dispatch(&job, hit, blocks as i64);
            assert!(all_are(&job, 1), "{threads} threads, round {round}");
        }
    }
}

#[test]
fn workers_wake_after_sleeping() {
    let pool = Pool::new(3).unwrap();
    for _ in 0..20 {
        std::thread::sleep(std::time::Duration::from_millis(3));
        let job = job(&pool, 500, 0);
        dispatch(&job, hit, 500);
        assert!(all_are(&job, 1));
    }
}

#[test]
fn nested_calls_run_serially_and_completely() {
    let pool = Pool::new(4).unwrap();
    for _ in 0..200 {
        let job = job(&pool, 50, 50);
        dispatch(&job, nest, 16);
        assert!(all_are(&job, 16));
    }
}

#[test]
fn several_callers_share_one_pool() {
    let pool = Pool::new(2).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..500 {
                    let job = job(&pool, 90, 0);
                    dispatch(&job, hit, 90);
                    assert!(all_are(&job, 1));
                }
            });
        }
    });
}

#[test]
fn nothing_to_do() {
    let pool = Pool::new(2).unwrap();
    let job = job(&pool, 1, 0);
    dispatch(&job, hit, 0);
    dispatch(&job, hit, -5);
    assert!(all_are(&job, 0));
}

#[test]
fn more_than_one_thread_takes_part() {
    static THREADS: AtomicU64 = AtomicU64::new(0);
    thread_local! { static COUNTED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) } }
    unsafe extern "C" fn slow(_cx: *mut c_void, _from: i64, _to: i64) {
        if !COUNTED.replace(true) {
            THREADS.fetch_add(1, Ordering::Relaxed);
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let pool = Pool::new(2).unwrap();
    let job = job(&pool, 0, 0);
    for _ in 0..10 {
        dispatch(&job, slow, 8);
    }
    assert_eq!(THREADS.load(Ordering::Relaxed), 2);
}
