//! Descriptors that a watcher holds for the case that the server has no others left.

use std::fs::File;
use std::io;

use hearth_sandbox::is_shortage;

/// The number of descriptors. A reading needs at most four at a time. Others can take some of them
/// while they are free.
const SIZE: usize = 16;

/// Open descriptors without another use.
#[derive(Debug)]
pub(super) struct DescriptorReserve(Vec<File>);

impl DescriptorReserve {
    /// Opens the descriptors.
    pub fn open() -> io::Result<DescriptorReserve> {
        let mut reserve = DescriptorReserve(Vec::with_capacity(SIZE));
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
            self.0.clear();
            result = reading().await;
        }
        // Fails while others use the descriptors. The next reading tries again.
        let _ = self.fill();
        result
    }

    fn fill(&mut self) -> io::Result<()> {
        while self.0.len() < SIZE {
            self.0.push(File::open("/dev/null")?);
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
        let mut reserve = DescriptorReserve::open().expect("descriptors are free");
        let held = format!("/proc/self/fd/{}", reserve.0[0].as_raw_fd());
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
        assert_eq!((tries, reserve.0.len()), (2, SIZE));
        // Other errors are final.
        let denied = reserve.read(async || {
            tries += 1;
            io::Result::<()>::Err(Errno::EACCES.into())
        });
        denied.await.expect_err("it fails");
        assert_eq!(tries, 3);
    }
}
