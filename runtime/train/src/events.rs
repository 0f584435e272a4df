//! The run's numbers as TensorBoard reads them: records with checksums around hand-encoded protocol buffers.

use crate::Line;
use base::Diagnostic;
use std::{
    fs::File,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};
use tensor::file::Disk;

/// `SessionLog { status = START }`.
const SESSION_START: &[u8] = &[1 << 3, 1];

/// One file a session; TensorBoard joins those of a folder.
pub(crate) struct Events<'h> {
    disk: &'h dyn Disk,
    path: PathBuf,
    file: File,
}

impl<'h> Events<'h> {
    /// Begins a session behind `step`. What an earlier session that was killed wrote of later steps is void, which readers
    /// are told.
    pub fn create(disk: &'h dyn Disk, folder: &Path, step: u64) -> Result<Events<'h>, Diagnostic> {
        let now = since_1970();
        let path =
            folder.join(format!("events.out.tfevents.{:010}.{:09}", now.as_secs(), now.subsec_nanos()));
        let file = disk.create(&path).map_err(|fault| failed(&path, &fault))?;
        let mut events = Events { disk, file, path };
        events.record(&event(now, 0, 3, b"brain.Event:2"))?;
        events.record(&event(now, step + 1, 7, SESSION_START))?;
        Ok(events)
    }

    /// Makes what was written survive a power cut.
    pub fn sync(&self) -> Result<(), Diagnostic> {
        self.disk.sync(&self.file).map_err(|fault| failed(&self.path, &fault))
    }

    pub fn write(&mut self, line: &Line) -> Result<(), Diagnostic> {
        let mut values = Vec::new();
        let metrics = line.metrics.iter().map(|(name, value)| (name.as_str(), *value));
        for (name, value) in
            [("loss", line.loss)].into_iter().chain(metrics).chain(line.lr.map(|lr| ("lr", lr)))
        {
            field_bytes(&mut values, 1, &scalar(&format!("{}/{name}", line.split), value as f32));
        }
        self.record(&event(since_1970(), line.step, 5, &values))
    }

    fn record(&mut self, data: &[u8]) -> Result<(), Diagnostic> {
        let bytes = framed(data);
        self.disk.write(&mut self.file, &bytes).map_err(|fault| failed(&self.path, &fault))
    }
}

fn failed(path: &Path, fault: &std::io::Error) -> Diagnostic {
    Diagnostic::error("E0708", format!("cannot write `{}`: {fault}", path.display()))
}

fn since_1970() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// Length, its checksum, the data, their checksum.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    [&length[..], &masked(&length).to_le_bytes(), data, &masked(data).to_le_bytes()].concat()
}

/// `Event { wall_time = 1, step = 2, … }`; field 3 is the file's version, field 5 a summary, field 7 a session's log.
fn event(time: Duration, step: u64, field: u8, content: &[u8]) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(time.as_secs_f64().to_le_bytes());
    event.push(2 << 3);
    varint(&mut event, step);
    field_bytes(&mut event, field, content);
    event
}

/// `Value { tag = 1, simple_value = 2 }`.
fn scalar(tag: &str, value: f32) -> Vec<u8> {
    let mut message = Vec::new();
    field_bytes(&mut message, 1, tag.as_bytes());
    message.push(2 << 3 | 5);
    message.extend(value.to_le_bytes());
    message
}

fn field_bytes(message: &mut Vec<u8>, field: u8, content: &[u8]) {
    message.push(field << 3 | 2);
    varint(message, content.len() as u64);
    message.extend_from_slice(content);
}

fn varint(message: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        message.push(number as u8 | 0x80);
        number >>= 7;
    }
    message.push(number as u8);
}

/// The rotation and constant that the record format adds to its checksums.
fn masked(bytes: &[u8]) -> u32 {
    crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tensor::file::Os;

    #[test]
    fn checksums() {
        // RFC 3720, B.4, and the usual check value.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
    }

    #[test]
    fn a_record_byte_by_byte() {
        let time = Duration::from_secs_f64(1.5);
        let mut values = Vec::new();
        field_bytes(&mut values, 1, &scalar("val/loss", 0.5));
        let event = event(time, 300, 5, &values);
        let mut expected =
            vec![0x09, 0, 0, 0, 0, 0, 0, 0xf8, 0x3f, 0x10, 0xac, 0x02, 0x2a, 17, 0x0a, 15, 0x0a, 8];
        expected.extend(b"val/loss");
        expected.extend([0x15, 0, 0, 0, 0x3f]);
        assert_eq!(event, expected);
        let framed = framed(&event);
        assert_eq!(framed[..8], (event.len() as u64).to_le_bytes());
        assert_eq!(framed.len(), event.len() + 16);
    }

    #[test]
    fn sessions_do_not_overwrite_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let line = Line {
            step: 1,
            epoch: 1,
            split: "train".into(),
            loss: 1.0,
            metrics: vec![("mae".into(), 2.0)],
            lr: Some(0.1),
            seconds: 0.0,
        };
        for _ in 0..2 {
            Events::create(&Os, folder.path(), 0).unwrap().write(&line).unwrap();
        }
        let files: Vec<Vec<u8>> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| std::fs::read(entry.unwrap().path()).unwrap())
            .collect();
        assert_eq!(files.len(), 2);
        let has = |text: &[u8]| files[0].windows(text.len()).any(|window| window == text);
        assert!(has(b"brain.Event:2") && has(b"train/mae") && has(b"train/lr") && has(b"train/loss"));
    }
}
