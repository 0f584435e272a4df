//! How much the files that a verb reads may ask for.

use clap::Args;
use tensor::Limits;

/// Bounds on files of data and weights: what goes beyond one is an error, never cut off.
#[derive(Args, Clone)]
#[command(next_help_heading = "Limits on files")]
pub struct LimitArguments {
    /// Hold data up to this size in memory; larger csv files and folders of pictures are read while training
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "512MiB")]
    pub data_memory: u64,
    /// Of a file that is read whole
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "64GiB", hide_short_help = true)]
    pub limit_file: u64,
    /// Of the values that one file of data expands to
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "4GiB", hide_short_help = true)]
    pub limit_expanded: u64,
    /// Expanded by packed bytes of an npz or parquet file or a picture, beyond the first 8 MiB
    #[arg(long, global = true, value_name = "N", default_value_t = 100, hide_short_help = true)]
    pub limit_ratio: u64,
    /// Arrays, or columns, of one file
    #[arg(long, global = true, value_name = "N", default_value_t = 1_000_000, hide_short_help = true)]
    pub limit_arrays: usize,
    /// Axes of one array
    #[arg(long, global = true, value_name = "N", default_value_t = 8, hide_short_help = true)]
    pub limit_axes: usize,
    /// Of an array's name
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "4KiB", hide_short_help = true)]
    pub limit_name: u64,
    /// Of the header of an npy, safetensors or parquet file
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "100MB", hide_short_help = true)]
    pub limit_header: u64,
    /// Of one line of a csv file
    #[arg(long, global = true, value_name = "SIZE", value_parser = size, default_value = "4MiB", hide_short_help = true)]
    pub limit_line: u64,
    /// Pixels of one picture
    #[arg(long, global = true, value_name = "N", default_value_t = 64 << 20, hide_short_help = true)]
    pub limit_pixels: u64,
}

impl LimitArguments {
    pub fn limits(&self) -> Limits {
        let memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
        Limits {
            file_bytes: self.limit_file,
            expanded_bytes: self.limit_expanded,
            compression_ratio: self.limit_ratio,
            tensors: self.limit_arrays,
            rank: self.limit_axes,
            name_bytes: memory(self.limit_name),
            header_bytes: memory(self.limit_header),
            line_bytes: memory(self.limit_line),
            image_pixels: self.limit_pixels,
            held_bytes: self.data_memory,
        }
    }
}

/// `4096`, `512MiB`, `1.5GB`.
fn size(text: &str) -> Result<u64, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit() && !['.', '_'].contains(&c)).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim_start().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err(format!("`{unit}` is no unit of size: they are B, KB, MB, GB, KiB, MiB, GiB")),
    };
    let number = number.replace('_', "");
    if let Ok(whole) = number.parse::<u64>() {
        return whole.checked_mul(factor).ok_or_else(|| "this is more than can be counted".into());
    }
    let bytes =
        number.parse::<f64>().map_err(|_| "a size is written as in 512MiB".to_string())? * factor as f64;
    // Far below 2^53 everything is exact enough; beyond, nobody writes fractions.
    if bytes < 9.0e15 { Ok(bytes as u64) } else { Err("this is more than can be counted".into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        limits: LimitArguments,
    }

    #[test]
    fn what_is_typed_by_default_is_what_files_are_read_with() {
        assert_eq!(Line::parse_from(["dlc"]).limits.limits(), Limits::default());
    }

    #[test]
    fn sizes() {
        let read = [("0", 0), ("1_000", 1000), ("4KiB", 4096), ("1.5 gb", 1_500_000_000), ("2GiB", 2 << 30)];
        for (text, bytes) in read {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "-1", "1e3", "1.2.3", "5 apples", "99999999999GiB", "99999999.5GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
