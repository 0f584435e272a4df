//! Generates the parser from `src/model.lalrpop`.

fn main() {
    lalrpop::Configuration::new()
        .emit_rerun_directives(true)
        .process_current_dir()
        .expect("src/model.lalrpop is a grammar that lalrpop accepts");
}
