//! Lists every case to the test runner. `campaign EFFORT FROM TO` tries random models instead.

fn main() {
    let words: Vec<String> = std::env::args().collect();
    if words.get(1).is_some_and(|word| word == "campaign") {
        if let Err(fault) = filetests::random::campaign::run(&words[2..]) {
            eprintln!("campaign: {fault}");
            std::process::exit(1);
        }
        return;
    }
    libtest_mimic::run(&libtest_mimic::Arguments::from_args(), filetests::trials()).exit();
}
