//! Runs object code within this process: the bytes that would go to a file, linked in memory by ORC.

use crate::entry::WORDS;
use crate::{Error, Object};
use llvm_sys::core::LLVMCreateMemoryBufferWithMemoryRangeCopy;
use llvm_sys::error::{LLVMErrorRef, LLVMGetErrorMessage};
use llvm_sys::orc2::lljit::*;
use std::ffi::{CStr, CString};
use std::sync::atomic::{AtomicI64, Ordering};

/// Loaded code. Addresses stay valid while it lives, so whoever calls them keeps it alive.
pub struct Jit {
    jit: LLVMOrcLLJITRef,
}

// SAFETY: LLJIT locks its own session; lookups may come from any thread.
unsafe impl Send for Jit {}
// SAFETY: as above.
unsafe impl Sync for Jit {}

impl Jit {
    pub fn load(object: &Object) -> Result<Jit, Error> {
        crate::target::initialize();
        let mut jit = std::ptr::null_mut();
        // SAFETY: no builder stands for the default one, of the host.
        check(unsafe { LLVMOrcCreateLLJIT(&mut jit, std::ptr::null_mut()) })?;
        let jit = Jit { jit };
        for part in &object.parts {
            let Ok(name) = CString::new(part.name.as_str()) else {
                return Err(Error::Bug("a part's name has a zero byte".into()));
            };
            // SAFETY: the buffer is a copy of its own, and the JIT takes it over whatever comes of it.
            check(unsafe {
                let buffer = LLVMCreateMemoryBufferWithMemoryRangeCopy(
                    part.bytes.as_ptr().cast(),
                    part.bytes.len(),
                    name.as_ptr(),
                );
                LLVMOrcLLJITAddObjectFile(jit.jit, LLVMOrcLLJITGetMainJITDylib(jit.jit), buffer)
            })?;
        }
        Ok(jit)
    }

    /// The address of a function; `None` for a name that the code does not define.
    pub fn lookup(&self, name: &str) -> Option<*const ()> {
        let name = CString::new(name).ok()?;
        let mut address = 0;
        // SAFETY: the name ends with a zero byte and the address is written only on success.
        check(unsafe { LLVMOrcLLJITLookup(self.jit, &mut address, name.as_ptr()) }).ok()?;
        (address != 0).then_some(address as usize as *const ())
    }
}

/// What timed steps of a plan have summed up since it was last asked: how often each ran, nanoseconds, floating-point
/// operations, bytes.
pub type StepSums = [i64; WORDS];

impl Jit {
    /// The sums of a plan's timed steps, which begin anew; `None` where the code takes no times.
    pub fn take_sums(&self, plan: &str) -> Option<Vec<StepSums>> {
        let table = self.lookup(&format!("{plan}_profile"))?.cast::<AtomicI64>();
        // SAFETY: the code lays the table out as `entry/timing.rs` says: a count that nobody writes, then as many sums,
        // which are only ever changed by atomic operations. It lives as long as the code.
        let words = unsafe {
            let count = (*table).load(Ordering::Relaxed);
            std::slice::from_raw_parts(table.add(1), WORDS * usize::try_from(count).ok()?)
        };
        let take = |step: &[AtomicI64]| std::array::from_fn(|word| step[word].swap(0, Ordering::Relaxed));
        Some(words.chunks_exact(WORDS).map(take).collect())
    }
}

impl Drop for Jit {
    fn drop(&mut self) {
        // SAFETY: nobody else disposes of it. A failure to unmap memory leaves nothing to do.
        let _ = check(unsafe { LLVMOrcDisposeLLJIT(self.jit) });
    }
}

fn check(error: LLVMErrorRef) -> Result<(), Error> {
    if error.is_null() {
        return Ok(());
    }
    // SAFETY: the error is consumed, its message freed once.
    let text = unsafe {
        let message = LLVMGetErrorMessage(error);
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        llvm_sys::error::LLVMDisposeErrorMessage(message);
        text
    };
    Err(Error::Bug(format!("loading code: {text}")))
}
