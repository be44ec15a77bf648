//! A control group with a limit of memory: who needs more is killed by the kernel.

use std::fs;
use std::path::{Path, PathBuf};

use super::Result;
use super::server::Spec;

/// Where the kernel shows the hierarchy of version 2, and that of version 1 for memory.
const ROOT: &str = "/sys/fs/cgroup";
const ROOT_V1: &str = "/sys/fs/cgroup/memory";

/// How the files of a version are called.
struct Names {
    limit: &'static str,
    /// Limits memory and swap together, or swap alone; missing where swap is not counted.
    swap: &'static str,
    most: &'static str,
    events: &'static str,
}

const V2: Names = Names { limit: "memory.max", swap: "memory.swap.max", most: "memory.peak", events: "memory.events" };

const V1: Names = Names {
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
    most: "memory.max_usage_in_bytes",
    events: "memory.oom_control",
};

/// A control group; removed when it is dropped, which must be after its last process has ended.
pub struct Cgroup {
    folder: PathBuf,
    names: &'static Names,
}

impl Cgroup {
    /// Makes a group below the root, for which one must be root, in most cases.
    ///
    /// # Errors
    /// Why there can be none here.
    pub fn new(limit: u64) -> Result<Self> {
        let is_v1 = Path::new(ROOT_V1).join(V1.limit).exists();
        let (root, names, swap) = if is_v1 { (ROOT_V1, &V1, limit) } else { (ROOT, &V2, 0) };
        if !is_v1 {
            // Where it cannot be turned on it may be on already.
            let _ = fs::write(Path::new(root).join("cgroup.subtree_control"), "+memory");
        }
        let folder = Path::new(root).join(format!("kiba-bench-{}", std::process::id()));
        fs::create_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let group = Self { folder, names };
        group.write(names.limit, limit)?;
        let _ = group.write(names.swap, swap);
        Ok(group)
    }

    /// The server that starts in here.
    pub fn confine(&self, spec: &Spec) -> Spec {
        let mut spec = spec.clone();
        let script = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
        let shell = ["/bin/sh", "-c", script].map(str::to_owned);
        spec.command.splice(0..0, shell.into_iter().chain([self.folder.display().to_string()]));
        spec
    }

    /// The most memory that the group had in use; of some kernels nothing.
    pub fn bytes_max(&self) -> Option<u64> {
        fs::read_to_string(self.folder.join(self.names.most)).ok()?.trim().parse().ok()
    }

    /// How many processes were killed because the limit was reached.
    ///
    /// # Errors
    /// When the kernel does not tell.
    pub fn kills(&self) -> Result<u64> {
        let path = self.folder.join(self.names.events);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let kills = text.lines().find_map(|line| line.strip_prefix("oom_kill "));
        kills.and_then(|kills| kills.trim().parse().ok()).ok_or(format!("{} tells no oom_kill", path.display()))
    }

    fn write(&self, name: &str, value: u64) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, value.to_string()).map_err(|error| format!("{}: {error}", path.display()))
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // One that stays behind is empty and costs nothing.
        let _ = fs::remove_dir(&self.folder);
    }
}
