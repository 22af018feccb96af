use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Mode")]
enum Mode {
    Idle,
    Driving { speed: f64 },
}

fn main() {}
