//! Serial lines: opening one and its settings.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use rustix::termios::{
    ControlModes, InputModes, LocalModes, OptionalActions, OutputModes, SpecialCodeIndex, Termios,
    ioctl_tiocexcl, isatty, tcgetattr, tcsetattr,
};

/// Opens a serial line with 8 data bits, no parity, one stop bit and no flow control (8N1), whatever the
/// previous program has set.
///
/// # Errors
/// If the device cannot be opened, is no serial line, or does not take the settings.
pub(super) fn open(device: &Path, baud: u32) -> io::Result<File> {
    // NOCTTY: must not become the controlling terminal. NONBLOCK: must not wait for a modem's carrier
    // signal.
    let flags = (OFlags::NOCTTY | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).write(true).custom_flags(flags).open(device);
    let file = opened.map_err(|error| explained(&error))?;
    if !isatty(&file) {
        return Err(io::Error::other("not a serial line; for a TCP stream use --tcp HOST:PORT"));
    }
    // Exclusive: two readers would each get a part of every frame.
    ioctl_tiocexcl(&file)?;
    let mut settings = tcgetattr(&file)?;
    set(&mut settings, baud)?;
    tcsetattr(&file, OptionalActions::Now, &settings)?;
    // The call succeeds if the driver takes any of the settings.
    check(&tcgetattr(&file)?, baud)?;
    Ok(file)
}

/// The error of an attempt to open a device, with what to do.
fn explained(error: &io::Error) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::PermissionDenied => {
            "the user must be in the group of the device, dialout on Debian"
        }
        io::ErrorKind::ResourceBusy => "another program has it open",
        io::ErrorKind::IsADirectory => "not a serial line",
        _ => return io::Error::new(error.kind(), error.to_string()),
    };
    io::Error::new(error.kind(), format!("{error}: {advice}"))
}

fn set(settings: &mut Termios, baud: u32) -> io::Result<()> {
    settings.input_modes = InputModes::empty();
    settings.output_modes = OutputModes::empty();
    settings.local_modes = LocalModes::empty();
    // HUPCL is kept: whether a board is reset when the line is closed is the user's decision.
    settings.control_modes &= ControlModes::HUPCL;
    settings.control_modes |= ControlModes::CS8 | ControlModes::CLOCAL | ControlModes::CREAD;
    settings.special_codes[SpecialCodeIndex::VMIN] = 1;
    settings.special_codes[SpecialCodeIndex::VTIME] = 0;
    settings.set_speed(baud)?;
    Ok(())
}

/// Checks the settings that the driver took. Drivers round a rate to what their clock allows; a UART
/// tolerates a few percent.
fn check(found: &Termios, baud: u32) -> io::Result<()> {
    let unwanted = ControlModes::PARENB | ControlModes::CSTOPB | ControlModes::CRTSCTS;
    let flow = InputModes::IXON | InputModes::IXOFF;
    if found.control_modes & ControlModes::CSIZE != ControlModes::CS8
        || found.control_modes.intersects(unwanted)
        || found.input_modes.intersects(flow)
    {
        return Err(io::Error::other("the device does not support 8N1 without flow control"));
    }
    let difference = found.output_speed().abs_diff(baud);
    if difference > baud / 33 {
        let speed = found.output_speed();
        let text =
            format!("the device does not support {baud} baud, only {speed}: set it with --baud");
        return Err(io::Error::other(text));
    }
    Ok(())
}
