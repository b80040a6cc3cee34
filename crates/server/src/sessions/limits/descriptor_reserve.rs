//! Descriptors that a watcher holds for the case that the server has no others left.

use std::fs::File;
use std::io;

use hearth_sandbox::is_shortage;

/// Open descriptors without another use. A reading needs at most four at a time. Others can take
/// some of them while they are free.
#[derive(Debug)]
pub(super) struct DescriptorReserve {
    held: Vec<File>,
    size: usize,
}

impl DescriptorReserve {
    /// Opens the descriptors.
    pub fn open(size: usize) -> io::Result<DescriptorReserve> {
        let held = Vec::with_capacity(size);
        let mut reserve = DescriptorReserve { held, size };
        reserve.fill()?;
        Ok(reserve)
    }

    /// Performs a reading. If it finds no free descriptor, releases the reserve and tries again.
    pub async fn read<T>(
        &mut self,
        mut reading: impl AsyncFnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        let mut result = reading().await;
        if result.as_ref().is_err_and(is_shortage) {
            self.held.clear();
            result = reading().await;
        }
        // Fails while others use the descriptors. The next reading tries again.
        let _ = self.fill();
        result
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.held.len() < self.size {
            self.held.push(File::open("/dev/null")?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd;

    use nix::errno::Errno;

    use super::*;

    #[tokio::test]
    async fn a_reading_without_descriptors_is_tried_again_with_those_of_the_reserve() {
        let mut reserve = DescriptorReserve::open(16).expect("descriptors are free");
        let held = format!("/proc/self/fd/{}", reserve.held[0].as_raw_fd());
        let mut tries = 0;
        let read = reserve.read(async || {
            tries += 1;
            let link = std::fs::read_link(&held);
            // Another test may use the number by now, but not for this file.
            let is_held = link.is_ok_and(|target| target.ends_with("null"));
            if is_held {
                Err(Errno::EMFILE.into())
            } else {
                Ok(())
            }
        });
        read.await.expect("the second try succeeds");
        assert_eq!((tries, reserve.held.len()), (2, 16));
        // Other errors are final.
        let denied = reserve.read(async || {
            tries += 1;
            io::Result::<()>::Err(Errno::EACCES.into())
        });
        denied.await.expect_err("it fails");
        assert_eq!(tries, 3);
    }
}
