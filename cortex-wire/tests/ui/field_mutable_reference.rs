use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Note")]
struct Note<'a> {
    stamp: u64,
    text: &'a mut str,
}

fn main() {}
