use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Scan")]
struct Scan<'a> {
    ranges: &'a [f32],
}

fn main() {}
