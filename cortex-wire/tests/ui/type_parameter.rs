use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Boxed")]
struct Boxed<T> {
    value: T,
}

fn main() {}
