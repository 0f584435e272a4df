//! Bugs of the compiler end with code 70 and a file that lets others repeat them.

use crate::output::note;
use driver::Bug;
use std::{
    panic,
    path::PathBuf,
    process::ExitCode,
    sync::{Mutex, PoisonError},
};

/// `EX_SOFTWARE` of sysexits.h.
const EXIT: u8 = 70;

/// Sources read so far: name and text.
static SOURCES: Mutex<Vec<(String, String)>> = Mutex::new(Vec::new());
/// Message, place and stack of the first panic.
static PANIC: Mutex<Option<String>> = Mutex::new(None);

/// Remembers what a bug would have to be repeated with.
pub fn remember(name: &str, text: &str) {
    SOURCES.lock().unwrap_or_else(PoisonError::into_inner).push((name.into(), text.into()));
}

/// Runs everything; a panic is a bug.
pub fn catch(work: impl FnOnce() -> ExitCode + panic::UnwindSafe) -> ExitCode {
    panic::set_hook(Box::new(|info| {
        let trace = std::backtrace::Backtrace::force_capture();
        let mut first = PANIC.lock().unwrap_or_else(PoisonError::into_inner);
        first.get_or_insert_with(|| format!("{info}\n\n{trace}"));
    }));
    match panic::catch_unwind(work) {
        Ok(code) => code,
        Err(_) => {
            let story = PANIC.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
            let message = story.split("\n\n").next().unwrap_or_default().to_string();
            report(&Bug { message, reproducer: story })
        }
    }
}

/// Says that this is a bug, and where all that is needed to repeat it was written.
pub fn report(bug: &Bug) -> ExitCode {
    let mut text = format!("dlc {}\n", driver::VERSION);
    let words: Vec<String> = std::env::args().collect();
    text += &format!("command: {}\n\n{}\n", words.join(" "), bug.message);
    for (name, source) in SOURCES.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        text += &format!("\n==== {name}\n{source}\n");
    }
    text += &format!("\n==== state\n{}\n", bug.reproducer);
    let name = format!("dlc-bug-{:016x}.txt", tensor::Fnv64::new().text(&text).finish());
    let written = [PathBuf::from("."), std::env::temp_dir()]
        .into_iter()
        .map(|folder| folder.join(&name))
        .find(|path| tensor::file::write_atomically(path, text.as_bytes()).is_ok());
    note(&format!("bug: {}\n", bug.message.trim_end()));
    note("  This is a fault of dlc, not of your file.\n");
    match written {
        Some(path) => note(&format!("  What is needed to repeat it was written to {}\n", path.display())),
        None => note("  The file to repeat it with could not be written here or to the temporary folder.\n"),
    }
    ExitCode::from(EXIT)
}
