use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Pose")]
struct Pose {
    stamp: u64,
    position: (f64, f64, f64),
}

fn main() {}
