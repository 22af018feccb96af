use cortex_wire::Message;

#[derive(Message)]
#[cortex(class = "robot.msgs.Note")]
struct Note<'a, 'b> {
    title: &'a str,
    text: &'b str,
}

fn main() {}
