//! Faults that only a run finds: the command lines that lead to each code, and what else has to be told.

use std::{
    fs,
    path::Path,
    process::{Command, Output, Stdio},
};
use tempfile::TempDir;

const PLAIN: &str = "model M(x: f32[batch, 4], t: f32[batch]) -> (y: f32[batch], z: f32[batch]) {
    require batch >= 2, \"two rows at least\"
    y = sum(x, axis: 1) + t
    z = log(t)
}
";

/// A model that is trained on `data`, with more keys in `rest`.
fn trained(data: &str, rest: &str) -> String {
    format!(
        "model M(x: f32[batch, 4]) -> (y: f32[batch, 1]) {{ y = x |> dense(1) }}

train M {{ {data}
    loss = mse(y, target); optimizer = sgd(lr: 0.1); steps = 2; batch = 4 {rest}
}}
"
    )
}

/// Each layer is the one before it, twice: soon more operations than anything can hold.
fn doubled(times: usize) -> String {
    let first = "layer twice0(x: float[..s]) -> float[..s] { tanh(x) }\n".to_string();
    let layers = (1..times).map(|at| {
        let before = at - 1;
        format!(
            "layer twice{at}()(x: float[..s]) -> float[..s] {{ unit = twice{before}; x |> unit |> unit }}\n"
        )
    });
    let last = times - 1;
    let model = format!("model M(x: f32[batch, 4]) -> (y: f32[batch, 4]) {{ y = x |> twice{last}() }}\n");
    std::iter::once(first).chain(layers).chain([model]).collect()
}

/// An npy file of f32 in version 1.0.
fn npy(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let padded = (header.len() + 11).div_ceil(64) * 64 - 10;
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(padded).expect("a short header").to_le_bytes());
    bytes.extend(format!("{header:<width$}\n", width = padded - 1).into_bytes());
    bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
    bytes
}

/// A safetensors file with this header.
fn safetensors(header: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend(header.as_bytes());
    bytes.extend(data);
    bytes
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files: &[(&str, Vec<u8>)] = &[
        ("plain.model", PLAIN.into()),
        ("good.model", trained("data = synthetic(16, x: normal(0, 1), target: normal(0, 1))", "").into()),
        ("nodata.model", trained("", "").into()),
        ("doubled.model", doubled(22).into()),
        ("halves.model", b"model M(x: f32[2 * n]) -> (y: f32[n]) { y = x[:n] }\n".to_vec()),
        ("spread.model", trained("data = synthetic(16, x: normal(0, -1), target: normal(0, 1))", "").into()),
        ("range.model", trained("data = synthetic(16, x: uniform(1, 0), target: normal(0, 1))", "").into()),
        (
            "wild.model",
            trained("data = synthetic(16, x: normal(0, 1e30), target: normal(0, 1e30))", "").into(),
        ),
        (
            "wilder.model",
            trained("data = synthetic(16, x: normal(0, 1), target: normal(0, 1e38))", "").into(),
        ),
        (
            "parquet.model",
            trained("data = parquet(\"bad.bin\", x: columns(0..4), target: column(4))", "").into(),
        ),
        ("npz.model", trained("data = npz(\"bad.bin\", x: \"x\", target: \"t\")", "").into()),
        (
            "open.model",
            b"model M(x: f32[batch, seq]) -> (y: f32[batch]) { y = sum(x, axis: 1) }

train M { data = synthetic(8, x: normal(0, 1)); loss = mean(y); optimizer = sgd(lr: 0.1) }
"
            .to_vec(),
        ),
        ("bytes.model", vec![0x6d, 0xff, 0xfe]),
        ("bad.bin", b"neither one nor the other".to_vec()),
        ("x.npy", npy("(2, 4)", &[1.0; 8])),
        ("x1.npy", npy("(1, 4)", &[1.0; 4])),
        ("x5.npy", npy("(2, 5)", &[1.0; 10])),
        ("t.npy", npy("(2,)", &[1.0, 2.0])),
        ("t0.npy", npy("(2,)", &[0.0, 2.0])),
        ("t1.npy", npy("(1,)", &[1.0])),
        ("t3.npy", npy("(3,)", &[1.0; 3])),
        (
            "f8.safetensors",
            safetensors(r#"{"w":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}"#, &[0]),
        ),
    ];
    for (name, bytes) in files {
        fs::write(folder.path().join(name), bytes).expect("a file");
    }
    fs::create_dir(folder.path().join("empty")).expect("a folder");
    folder
}

fn dlc(folder: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dlc"));
    command.current_dir(folder).args(words.split(' ')).env("NO_COLOR", "1").env("DLC_NO_CACHE", "1");
    command
}

fn told(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn command_lines_that_cannot_do_what_they_say() {
    let folder = folder();
    // The code, the command line, and a word that the message has to hold.
    let table: &[(&str, &str, &str)] = &[
        ("E0420", "compile doubled.model -o out", "1048576"),
        ("E0420", "run doubled.model --input x=x.npy", "1048576"),
        ("E0606", "run plain.model --input bad.npz", "bad.npz"),
        ("E0634", "train spread.model", "`x`"),
        ("E0634", "train range.model", "`x`"),
        ("E0644", "train parquet.model", "bad.bin"),
        ("E0702", "run good.model --input x=x.npy --weights f8.safetensors", "F8_E4M3"),
        ("E0801", "run plain.model --input x=x.npy --input t=t3.npy", "`batch`"),
        ("E0706", "train good.model --resume nowhere", "nowhere"),
        ("E0802", "run halves.model --input x=t.npy", "--bind n=8"),
        ("E0803", "run plain.model --input x=x5.npy --input t=t.npy", "x"),
        ("E0806", "run plain.model --input x=x1.npy --input t=t1.npy", "two rows at least"),
        ("E0806", "run plain.model --input x=x1.npy --input t=t1.npy --nan", "two rows at least"),
        ("E0810", "train wild.model", "the loss became"),
        ("E0810", "train wilder.model --out other", "the loss became"),
        ("E0814", "train wilder.model --out other", "already holds a run"),
        ("E0821", "check missing.model", "there is no such file"),
        ("E0821", "check empty", "it is a folder"),
        ("E0821", "check bytes.model", "not UTF-8"),
        ("E0822", "run plain.model --input x=x.npy", "`t`"),
        ("E0822", "run good.model --input x=x.npy --output yy=y.npy", "`yy`"),
        ("E0823", "train plain.model", "`train M"),
        ("E0823", "eval plain.model", "`train M"),
        ("E0824", "train nodata.model", "data"),
        ("E0824", "train nodata.model --data bad.bin", "bad.bin"),
        ("E0825", "train open.model", "`x`"),
        ("E0825", "train open.model --set train.batch=2", "--bind"),
        ("E0826", "compile good.model -o x.npy/out", "x.npy/out"),
        ("E0826", "compile good.model -o t.npy", "t.npy"),
        ("E0827", "eval good.model", "runs"),
        ("E0827", "eval good.model --seed 3", "--weights"),
        ("E0828", "run plain.model --input x=x1.npy --input t=t1.npy --trace", "two rows at least"),
        (
            "E0828",
            "run plain.model --input x=x1.npy --input t=t1.npy --trace --threads 1",
            "two rows at least",
        ),
        ("E0829", "run plain.model --input x=x.npy --input t=t0.npy --nan --threads 1", "inf"),
        ("E0829", "run plain.model --input x=x.npy --input t=t0.npy --nan", "plain.model:4"),
        ("E0902", "compile good.model --target nothing-like-it -o out", "nothing-like-it"),
        ("E0902", "compile good.model --target x86-64-v9 -o out", "x86-64-v9"),
        ("E0905", "compile good.model --max-memory 1 -o out", "--bind"),
        ("E0905", "compile good.model --max-memory 1 --bind batch=64 -o out", "1"),
    ];
    fs::copy(folder.path().join("bad.bin"), folder.path().join("bad.npz")).expect("a copy");
    let mut wrong = Vec::new();
    for (code, words, part) in table {
        let output = dlc(folder.path(), words).output().expect("dlc starts");
        let text = told(&output);
        let fine = output.status.code() == Some(1)
            && text.contains(&format!("Error[{code}]"))
            && text.matches("Error[").count() == 1
            && text.contains(part);
        if !fine {
            wrong.push(format!("{code} `{part}`: dlc {words}: {:?}\n{text}", output.status.code()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn fields_that_nothing_reads_are_noted() {
    let folder = folder();
    let spare = |fields: &str| {
        trained(&format!("data = csv(\"rows.csv\", x: columns(0..4), target: columns(4..5), {fields})"), "")
    };
    let table = [
        ("W0801", spare("note: column(0)"), "`note`"),
        ("W0801", spare("a: column(1), b: columns(2..4)"), "`a`, `b`"),
    ];
    for (code, text, names) in table {
        fs::write(folder.path().join("spare.model"), text).expect("a file");
        let rows = "1,2,3,4,5\n".repeat(16);
        fs::write(folder.path().join("rows.csv"), rows).expect("a file");
        let out = format!("run{}", names.len());
        let output =
            dlc(folder.path(), &format!("train spare.model --out {out}")).output().expect("dlc starts");
        assert_eq!(output.status.code(), Some(0), "{}", told(&output));
        let text = told(&output);
        assert!(text.lines().any(|line| line.contains(code) && line.ends_with(names)), "{text}");
    }
}

#[test]
fn surroundings_that_do_not_take_part() {
    let folder = folder();
    let table: &[(&str, &str, (&str, &str))] = &[
        ("E0903", "compile good.model --emit so -o out", ("CC", "/nowhere/cc")),
        ("E0903", "compile good.model --emit so -o out", ("CC", "false")),
        ("E0904", "compile good.model --emit so -o out", ("TMPDIR", "/nowhere")),
        ("E0904", "compile good.model --emit so -o out", ("TMPDIR", "x.npy")),
    ];
    for (code, words, (name, value)) in table {
        let output = dlc(folder.path(), words).env(name, value).output().expect("dlc starts");
        let text = told(&output);
        assert!(text.contains(&format!("Error[{code}]")), "{code}: {name}={value} dlc {words}\n{text}");
        assert_eq!(output.status.code(), Some(1), "{text}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn results_that_cannot_be_written() {
    let folder = folder();
    let table = [
        ("E0820", "explain E0301"),
        // Another way to the same function.
        ("E0820", "check good.model --format json"),
    ];
    for (code, words) in table {
        let full = fs::File::options().write(true).open("/dev/full").expect("a full device");
        let output = dlc(folder.path(), words).stdout(Stdio::from(full)).output().expect("dlc starts");
        assert!(told(&output).contains(&format!("Error[{code}]")), "{}", told(&output));
        assert_eq!(output.status.code(), Some(1));
    }
}
