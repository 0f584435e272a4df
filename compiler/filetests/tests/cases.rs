//! Lists every case to the test runner.

fn main() {
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), filetests::trials()).exit();
}
