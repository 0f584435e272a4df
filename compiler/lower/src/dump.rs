//! Plans and kernels as text for people.

use kernel::Module;

/// Every plan of the module, then every kernel.
pub fn dump(module: &Module) -> String {
    kernel::print::module(module)
}
