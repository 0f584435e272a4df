//! The C header of an artifact, for C99 and C++17.

use crate::{ArgInfo, Call, Function, Manifest, c_name};
use std::collections::BTreeSet;
use std::fmt::Write;

/// The header of `manifest`'s model, whose functions start with `prefix_`.
pub fn header(manifest: &Manifest, prefix: &str) -> String {
    let calls = Call::all(manifest);
    let training = calls.iter().any(|call| call.function == Function::Step);
    let upper = prefix.to_uppercase();
    let model = comment_text(&manifest.model);
    let mut text = format!(
        "/* The model {model}, compiled. Made by `dlc compile`: do not edit.
 *
 * One handle holds the weights and the memory of one call at a time; use a handle from one thread at a time, and as
 * many handles as you like. Functions return a status: 0, or one of `enum {prefix}_status`. Arrays are row-major,
 * without gaps; their sizes are the products of the given axes and are not checked.
 */
#ifndef {upper}_MODEL_H
#define {upper}_MODEL_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern \"C\" {{
#endif

/* The version of this interface; `{prefix}_abi_version()` gives that of the compiled code. */
#define {upper}_ABI_VERSION {version}

enum {prefix}_status {{
    {upper}_OK = 0,
    /* A null pointer, a negative or too large dimension. */
    {upper}_INVALID_ARGUMENT = 1,
    /* The code needs what this processor does not offer. */
    {upper}_UNSUPPORTED_CPU = 2,
    {upper}_OUT_OF_MEMORY = 3,
    /* A file could not be read or written. */
    {upper}_FILE = 4,
    /* The weights file is broken, or made for another model. */
    {upper}_FORMAT = 5,
    /* There are no weights yet. */
    {upper}_NO_WEIGHTS = 6,
    /* A condition that the model states does not hold for these inputs. */
    {upper}_CHECK_FAILED = 7
}};

typedef struct {prefix}_model {prefix}_model;

/* Part of a loop: runs the blocks from..to, in any order and on any thread. */
typedef void (*{prefix}_kernel)(void *context, int64_t from, int64_t to);

/* Set all bytes to 0 and then the fields that matter. */
typedef struct {prefix}_options {{
    /* sizeof({prefix}_options); callers of an older version know fewer fields. */
    size_t struct_size;
    /* Threads that take part in a call; 0: as many as this process may use. The results do not depend on it. */
    int32_t threads;
    /* Runs `kernel` for all blocks 0..blocks and returns when all are done; null: a thread pool of its own. */
    void (*parallel_for)(void *user, {prefix}_kernel kernel, void *context, int64_t blocks);
    void *parallel_for_user;
    /* Length of the training run, for schedules that depend on it. */
    int64_t total_steps;
}} {prefix}_options;

/* {upper}_ABI_VERSION of the code. */
uint32_t {prefix}_abi_version(void);

/* Makes a handle. `options` may be null. On failure `error`, of `error_size` bytes, holds a message; it may be null. */
int {prefix}_create(const {prefix}_options *options, {prefix}_model **out, char *error, size_t error_size);

/* Frees the handle and all it holds; null is fine. */
void {prefix}_destroy({prefix}_model *model);

/* The message of the latest failure of this handle, valid until its next call. */
const char *{prefix}_last_error(const {prefix}_model *model);

/* Reads the weights from a safetensors file. On failure the model is as it was. */
int {prefix}_load({prefix}_model *model, const char *path);
",
        version = crate::MANIFEST_VERSION,
    );
    if training {
        let _ = write!(
            text,
            "
/* Writes weights, states and what the optimiser remembers to a safetensors file, whole or not at all. */
int {prefix}_save({prefix}_model *model, const char *path);
"
        );
    }
    if calls.iter().any(Call::takes_rate_scale) {
        let _ = write!(
            text,
            "
/* What learning rates that wait for a plateau are multiplied by from now on; at first 1. */
int {prefix}_set_rate_scale({prefix}_model *model, double scale);
"
        );
    }
    for call in &calls {
        text.push('\n');
        text.push_str(&function(call, prefix));
    }
    let _ = write!(text, "\n#ifdef __cplusplus\n}}\n#endif\n\n#endif\n");
    text
}

fn function(call: &Call<'_>, prefix: &str) -> String {
    if call.function == Function::Init {
        return format!(
            "/* Makes initial weights from a seed, and starts counting steps anew. */
int {prefix}_init({prefix}_model *model, int64_t seed);
"
        );
    }
    let about = match call.function {
        Function::Run => "Runs the model.",
        Function::Accumulate => {
            "Adds the gradients of a batch to those of the update; its last batch is for the step."
        }
        Function::Step if call.takes_share() => {
            "Does one training step with the last batch of an update; the weights change only if it succeeds."
        }
        Function::Step => "Does one training step on a batch; the weights change only if it succeeds.",
        _ => "Computes loss and metrics of a batch.",
    };
    let mut names = BTreeSet::new();
    let mut comment = String::new();
    let mut parameters = vec![format!("{prefix}_model *model")];
    let dims: Vec<String> = call.entry.symbols.iter().map(|symbol| unique(symbol, &mut names)).collect();
    for (dim, symbol) in dims.iter().zip(&call.entry.symbols) {
        let _ = write!(comment, "\n * {dim}: the dimension `{}`", comment_text(symbol));
        parameters.push(format!("int64_t {dim}"));
    }
    if call.takes_share() {
        let share = unique("share", &mut names);
        let _ = write!(comment, "\n * {share}: rows of this batch by rows of its update");
        parameters.push(format!("double {share}"));
    }
    let workspace = dims.iter().map(|dim| format!(", int64_t {dim}")).collect::<String>();
    let arrays = call
        .inputs
        .iter()
        .map(|i| (&call.entry.args[*i], true))
        .chain(call.outputs.iter().map(|i| (&call.entry.results[*i], false)));
    for (arg, input) in arrays {
        let name = unique(&arg.name, &mut names);
        let _ = write!(comment, "\n * {name}: {}, {}", if input { "in" } else { "out" }, array(arg));
        let constant = if input { "const " } else { "" };
        parameters.push(format!("{constant}{} *{name}", c_type(&arg.dtype).0));
    }
    let name = call.function.name();
    let mut text = format!("/* {about}{comment}\n */\nint {prefix}_{name}({});\n", parameters.join(", "));
    if call.function == Function::Run {
        let _ = write!(
            text,
            "\n/* Bytes of scratch memory that `{prefix}_run` needs for these dimensions, which the handle keeps; -1 if it refuses them. */
int64_t {prefix}_workspace_bytes({prefix}_model *model{workspace});
"
        );
    }
    text
}

/// `float[batch, 64], batch*64 elements of 4 bytes` in words.
fn array(arg: &ArgInfo) -> String {
    let (name, bytes) = c_type(&arg.dtype);
    let shape = arg.shape.join(", ");
    let note = match arg.dtype.as_str() {
        "bool" => ", 0 or 1",
        "f16" => ", bits of an IEEE half",
        "bf16" => ", the upper half of a float's bits",
        _ => "",
    };
    let times = arg.shape.iter().map(|axis| format!("({axis}) * ")).collect::<String>();
    comment_text(&format!("{name}[{shape}], {times}{bytes} bytes{note}"))
}

/// The C type of a dtype and its size.
fn c_type(dtype: &str) -> (&'static str, usize) {
    match dtype {
        "f64" => ("double", 8),
        "f32" => ("float", 4),
        "f16" | "bf16" => ("uint16_t", 2),
        "i64" => ("int64_t", 8),
        "i32" => ("int32_t", 4),
        "i16" => ("int16_t", 2),
        "i8" => ("int8_t", 1),
        _ => ("uint8_t", 1),
    }
}

fn unique(name: &str, taken: &mut BTreeSet<String>) -> String {
    let base = c_name(name);
    let mut candidate = base.clone();
    let mut number = 2;
    while !taken.insert(candidate.clone()) {
        candidate = format!("{base}_{number}");
        number += 1;
    }
    candidate
}

/// Text that cannot end a comment, nor start one.
fn comment_text(text: &str) -> String {
    text.replace("*/", "* /").replace("/*", "/ *").replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Entry, MANIFEST_VERSION, Role};
    use std::process::Command;

    fn arg(name: &str, role: Role, dtype: &str, shape: &[&str]) -> ArgInfo {
        ArgInfo {
            name: name.into(),
            role,
            dtype: dtype.into(),
            rank: shape.len(),
            shape: shape.iter().map(|axis| (*axis).into()).collect(),
        }
    }

    fn entry(name: &str, args: Vec<ArgInfo>, results: Vec<ArgInfo>) -> Entry {
        Entry {
            name: name.into(),
            symbol: format!("digits_{name}_plan"),
            symbols: vec!["batch".into()],
            args,
            results,
            checks: vec![],
            bind: vec![None],
        }
    }

    fn sample() -> Manifest {
        let image = || arg("image", Role::Input, "f32", &["batch", "64"]);
        let weight = || arg("dense.w", Role::Weight, "f32", &["64", "10"]);
        let entries = vec![
            entry("run", vec![image(), weight()], vec![arg("float", Role::Output, "f32", &["batch", "10"])]),
            entry("init", vec![arg("seed", Role::Control, "i64", &[])], vec![weight()]),
            entry(
                "step",
                vec![image(), arg("batch", Role::Input, "bool", &["batch"]), weight()],
                vec![arg("loss*/", Role::Loss, "f64", &[]), weight()],
            ),
        ];
        Manifest { version: MANIFEST_VERSION, model: "Digits */ x".into(), style: "compiled".into(), entries }
    }

    #[test]
    fn parameters_follow_the_entries() {
        let text = header(&sample(), "digits");
        assert!(text.contains(
            "int digits_run(digits_model *model, int64_t batch, const float *image, float *float_);"
        ));
        assert!(text.contains("int digits_init(digits_model *model, int64_t seed);"));
        assert!(text.contains("const float *image, const uint8_t *batch_2, double *loss__);"));
        assert!(text.contains("image: in, float[batch, 64], (batch) * (64) * 4 bytes"));
        let mut inference = sample();
        inference.entries.truncate(1);
        assert!(!header(&inference, "digits").contains("_save("));
    }

    #[test]
    fn compiles_as_c99_and_cpp17() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("digits.h"), header(&sample(), "digits")).unwrap();
        for (compiler, standard, name) in [("cc", "c99", "a.c"), ("c++", "c++17", "a.cc")] {
            let source = folder.path().join(name);
            std::fs::write(
                &source,
                "#include \"digits.h\"\n#include \"digits.h\"\nint main(void) { return DIGITS_OK; }\n",
            )
            .unwrap();
            let output = Command::new(compiler)
                .args([
                    &format!("-std={standard}"),
                    "-Wall",
                    "-Wextra",
                    "-pedantic",
                    "-Werror",
                    "-fsyntax-only",
                ])
                .arg(&source)
                .output();
            // Without a C++ compiler, C alone is checked.
            let Ok(output) = output else {
                assert_ne!(compiler, "cc", "no C compiler");
                continue;
            };
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
