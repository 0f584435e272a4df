//! The text form of graphs: what is read is sound or says so, and prints as what reads as itself.

use graph::{parse::parse, print::print, verify::verify};

pub fn run(text: &str) -> Result<bool, String> {
    let Ok(module) = parse(text) else { return Ok(false) };
    let sound = verify(&module);
    let printed = print(&module);
    match parse(&printed) {
        Ok(again) if print(&again) == printed => Ok(sound.is_ok()),
        Ok(again) => Err(format!("prints otherwise the second time:\n{printed}\n----\n{}", print(&again))),
        // What is not sound need not read back.
        Err(_) if sound.is_err() => Ok(false),
        Err(error) => Err(format!("does not read what it prints: {error}\n{printed}")),
    }
}
