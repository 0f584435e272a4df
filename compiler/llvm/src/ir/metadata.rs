//! What instructions are told beside their operands.

use super::{Ir, Metadata, Value};
use llvm_sys::{core::*, prelude::LLVMMetadataRef};

impl Ir {
    pub fn metadata_text(&self, text: &str) -> Metadata {
        // SAFETY: LLVM copies the text.
        Metadata(unsafe { LLVMMDStringInContext2(self.context, text.as_ptr().cast(), text.len()) })
    }

    pub fn metadata_node(&self, operands: &[Metadata]) -> Metadata {
        let mut raw: Vec<LLVMMetadataRef> = operands.iter().map(|node| node.0).collect();
        // SAFETY: LLVM copies the list.
        Metadata(unsafe { LLVMMDNodeInContext2(self.context, raw.as_mut_ptr(), raw.len()) })
    }

    /// A node of one 32-bit number.
    pub fn metadata_number(&self, value: i64) -> Metadata {
        // SAFETY: a constant of this context.
        let number = unsafe { LLVMValueAsMetadata(self.const_int(self.int(32), value).0) };
        self.metadata_node(&[Metadata(number)])
    }

    pub fn annotate(&self, instruction: Value, kind: &str, node: Metadata) {
        // SAFETY: an instruction; LLVM reads `kind.len()` bytes.
        unsafe {
            let id = LLVMGetMDKindIDInContext(self.context, kind.as_ptr().cast(), kind.len() as u32);
            LLVMSetMetadata(instruction.0, id, LLVMMetadataAsValue(self.context, node.0));
        }
    }
}
