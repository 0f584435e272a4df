//! A module as a whole: made, verified, optimised, written and disposed of.

use super::{Ir, c_string};
use inkwell::targets::TargetMachine;
use llvm_sys::analysis::{LLVMVerifierFailureAction, LLVMVerifyModule};
use llvm_sys::core::*;
use llvm_sys::error::{LLVMDisposeErrorMessage, LLVMGetErrorMessage};
use llvm_sys::target::LLVMSetModuleDataLayout;
use llvm_sys::target_machine::{LLVMCodeGenFileType, LLVMTargetMachineEmitToMemoryBuffer};
use llvm_sys::transforms::pass_builder::*;
use std::cell::Cell;
use std::ffi::CStr;

impl Ir {
    pub fn new(name: &str) -> Ir {
        let name = c_string(name);
        // SAFETY: module and builder belong to the new context; `drop` disposes of all three.
        unsafe {
            let context = LLVMContextCreate();
            Ir {
                context,
                module: LLVMModuleCreateWithNameInContext(name.as_ptr(), context),
                builder: LLVMCreateBuilderInContext(context),
                function: Cell::new(std::ptr::null_mut()),
            }
        }
    }

    /// Sets what the module is for, and has LLVM's verifier look at it.
    pub fn verify_for(&self, machine: &TargetMachine) -> Result<(), String> {
        let triple = c_string(&machine.get_triple().as_str().to_string_lossy());
        let layout = machine.get_target_data();
        let mut message = std::ptr::null_mut();
        // SAFETY: module, machine and texts live; the message is taken over below.
        let broken = unsafe {
            LLVMSetTarget(self.module, triple.as_ptr());
            LLVMSetModuleDataLayout(self.module, layout.as_mut_ptr());
            let action = LLVMVerifierFailureAction::LLVMReturnStatusAction;
            LLVMVerifyModule(self.module, action, &mut message)
        };
        let message = take_message(message);
        if broken == 0 { Ok(()) } else { Err(message) }
    }

    pub fn run_passes(&self, pipeline: &str, machine: &TargetMachine) -> Result<(), String> {
        let pipeline = c_string(pipeline);
        // SAFETY: all of them live; the error, if any, is consumed once.
        unsafe {
            let options = LLVMCreatePassBuilderOptions();
            let error = LLVMRunPasses(self.module, pipeline.as_ptr(), machine.as_mut_ptr(), options);
            LLVMDisposePassBuilderOptions(options);
            if error.is_null() {
                return Ok(());
            }
            let message = LLVMGetErrorMessage(error);
            let text = CStr::from_ptr(message).to_string_lossy().into_owned();
            LLVMDisposeErrorMessage(message);
            Err(text)
        }
    }

    /// Machine code, as an object file or as assembly.
    pub fn write(&self, machine: &TargetMachine, file: LLVMCodeGenFileType) -> Result<Vec<u8>, String> {
        let (mut message, mut buffer) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: module and machine live; the buffer is read within its bounds and disposed of once.
        unsafe {
            let failed = LLVMTargetMachineEmitToMemoryBuffer(
                machine.as_mut_ptr(),
                self.module,
                file,
                &mut message,
                &mut buffer,
            );
            if failed != 0 {
                return Err(take_message(message));
            }
            let start = LLVMGetBufferStart(buffer).cast::<u8>();
            let bytes = std::slice::from_raw_parts(start, LLVMGetBufferSize(buffer)).to_vec();
            LLVMDisposeMemoryBuffer(buffer);
            Ok(bytes)
        }
    }

    pub fn text(&self) -> String {
        // SAFETY: the module lives; the text is taken over.
        take_message(unsafe { LLVMPrintModuleToString(self.module) })
    }
}

impl Drop for Ir {
    fn drop(&mut self) {
        // SAFETY: made in `new` and disposed of once, the context last.
        unsafe {
            LLVMDisposeBuilder(self.builder);
            LLVMDisposeModule(self.module);
            LLVMContextDispose(self.context);
        }
    }
}

/// The text of a message that LLVM hands over, or nothing.
fn take_message(message: *mut std::ffi::c_char) -> String {
    if message.is_null() {
        return String::new();
    }
    // SAFETY: LLVM's messages end with a zero byte and are freed by whoever receives them.
    unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        LLVMDisposeMessage(message);
        text
    }
}
