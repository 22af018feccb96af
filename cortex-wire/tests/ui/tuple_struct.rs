use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Point")]
struct Point(f64, f64);

fn main() {}
