//! One arm in a process of its own, and its end: every way in which a process can fail to answer has its words.

use crate::protocol::{MAX_REPLY_BYTES, Refusal, Request};
use serde::de::DeserializeOwned;
use std::{
    io::{BufRead, BufReader, Read, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Of what an arm writes on standard error, the last so many bytes are kept.
const KEPT_STDERR: usize = 4000;

/// Why there is nothing to time.
#[derive(Clone, PartialEq, Debug)]
pub enum Ended {
    Cannot(String),
    Missing { what: String, install: String },
    Failed(String),
}

pub struct ArmProcess {
    child: Child,
    stdin: Option<ChildStdin>,
    replies: Receiver<Result<String, String>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    /// When the process was started.
    pub began: Instant,
}

impl ArmProcess {
    pub fn start(command: &[String], environment: &[(String, String)]) -> Result<ArmProcess, Ended> {
        let [program, arguments @ ..] = command else { return Err(Ended::Failed("no command".into())) };
        let began = Instant::now();
        let mut command = Command::new(program);
        command.args(arguments).envs(environment.iter().cloned());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A group of its own, so that what the arm starts can be ended with it.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let not_started = |fault: &dyn std::fmt::Display| {
            Ended::Failed(format!("the process `{program}` does not start: {fault}"))
        };
        let mut child = command.spawn().map_err(|fault| not_started(&fault))?;
        let (Some(stdout), Some(mut stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(not_started(&"it has no pipes"));
        };
        let (sender, replies) = channel();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(stdout);
            loop {
                let mut line = Vec::new();
                let read = reader.by_ref().take(MAX_REPLY_BYTES + 1).read_until(b'\n', &mut line);
                let message = match read {
                    Ok(0) => break,
                    Ok(_) if line.len() as u64 > MAX_REPLY_BYTES => Err("a line without an end".to_string()),
                    Ok(_) => String::from_utf8(line).map_err(|_| "bytes that are not UTF-8".to_string()),
                    Err(fault) => Err(fault.to_string()),
                };
                let over = message.is_err();
                if sender.send(message).is_err() || over {
                    break;
                }
            }
        });
        let stderr = std::thread::spawn(move || {
            let (mut kept, mut part) = (Vec::new(), [0u8; 4096]);
            while let Ok(count @ 1..) = stderr.read(&mut part) {
                kept.extend_from_slice(&part[..count]);
                if kept.len() > 2 * KEPT_STDERR {
                    kept.drain(..kept.len() - KEPT_STDERR);
                }
            }
            kept
        });
        let stdin = child.stdin.take();
        Ok(ArmProcess { child, stdin, replies, stderr: Some(stderr), began })
    }

    /// Sends a request and waits for its reply; the process is of no more use after an error.
    pub fn ask<T: DeserializeOwned>(&mut self, request: &Request, limit: Duration) -> Result<T, Ended> {
        let text = serde_json::to_string(request).map_err(|fault| Ended::Failed(fault.to_string()))?;
        let sent = match &mut self.stdin {
            Some(stdin) => writeln!(stdin, "{text}").and_then(|()| stdin.flush()),
            None => Ok(()),
        };
        if sent.is_err() {
            return Err(self.died());
        }
        let line = match self.replies.recv_timeout(limit) {
            Ok(Ok(line)) => line,
            Ok(Err(what)) => {
                return Err(self.failed(format!("it wrote {what} on standard output instead of a reply")));
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = limit.as_secs_f64();
                return Err(self.failed(format!("no reply to `{}` within {seconds:.0} s", name(&text))));
            }
            Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
        };
        let value: serde_json::Value = match serde_json::from_str(line.trim_end()) {
            Ok(value @ serde_json::Value::Object(_)) => value,
            _ => {
                let shown: String = line.trim_end().chars().take(80).collect();
                return Err(
                    self.failed(format!("standard output is for replies alone, but it has `{shown}`"))
                );
            }
        };
        if let Ok(refusal) = serde_json::from_value::<Refusal>(value.clone()) {
            return Err(match refusal {
                Refusal::Cannot { cannot } => Ended::Cannot(cannot),
                Refusal::Missing { missing, install } => Ended::Missing { what: missing, install },
                Refusal::Error { error } => Ended::Failed(error),
            });
        }
        serde_json::from_value(value)
            .map_err(|fault| self.failed(format!("the reply to `{}` lacks something: {fault}", name(&text))))
    }

    /// Waits for the process to end by itself, and ends it where it does not.
    pub fn finish(mut self, limit: Duration) {
        drop(self.stdin.take());
        let began = Instant::now();
        while began.elapsed() < limit {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    fn died(&mut self) -> Ended {
        let began = Instant::now();
        let mut status = None;
        while status.is_none() && began.elapsed() < Duration::from_secs(2) {
            status = self.child.try_wait().ok().flatten();
            std::thread::sleep(Duration::from_millis(2));
        }
        let how =
            status.map_or("it closed its output".to_string(), |status| format!("it ended with {status}"));
        self.failed(format!("{how} instead of a reply"))
    }

    /// The message with the last lines of standard error; the process is ended first, so that they are all there.
    fn failed(&mut self, message: String) -> Ended {
        self.end();
        let kept = self.stderr.take().and_then(|reader| reader.join().ok()).unwrap_or_default();
        let text =
            String::from_utf8_lossy(&kept[kept.len().saturating_sub(KEPT_STDERR)..]).trim().to_string();
        Ended::Failed(if text.is_empty() { message } else { format!("{message}\n{text}") })
    }

    fn end(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            // Its own group, which began with it; whatever it started goes too.
            if let Some(group) = i32::try_from(self.child.id()).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

impl Drop for ArmProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// What a request asks for.
fn name(request: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(request).unwrap_or_default();
    value["do"].as_str().unwrap_or_default().to_string()
}
