//! The data of the messages, equal for all contenders.

/// One of the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// An image of 480 x 640 pixels.
    Image,
    /// A position and an orientation.
    Pose,
    /// 10,000 points with colours and intensities.
    PointCloud,
    /// A dictionary that contains a dictionary and a list of arrays.
    Dict,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Image, Self::Pose, Self::PointCloud, Self::Dict];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Image => "Image",
            Self::Pose => "Pose",
            Self::PointCloud => "PointCloud",
            Self::Dict => "Dict",
        }
    }
}

pub(super) const ROWS: usize = 480;
pub(super) const WIDTH: usize = 640;
pub(super) const POINTS: usize = 10_000;
pub(super) const ENCODING: &str = "rgb8";
/// The frame ids of a pose; the first is also that of the point cloud.
pub(super) const FRAME_IDS: [&str; 2] = ["map", "base_link"];
pub(super) const NAME: &str = "arm";
pub(super) const COUNT: u64 = 6;
pub(super) const GAIN: f64 = 0.5;

/// The arrays of all messages.
#[derive(Debug)]
pub(super) struct Scene {
    pub(super) pixels: Vec<u8>,
    pub(super) points: Vec<f32>,
    pub(super) colors: Vec<f32>,
    pub(super) intensity: Vec<f32>,
    pub(super) position: [f64; 3],
    pub(super) orientation: [f64; 4],
    pub(super) angles: [f64; 6],
    pub(super) speeds: [f64; 6],
    pub(super) frames: [[f64; 16]; 2],
}

impl Scene {
    /// Noise, which no format can compress, and which is the same in every run.
    pub(super) fn new() -> Self {
        let mut state = 1_u64;
        let mut noise = move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 40
        };
        let pixels = (0..ROWS * WIDTH * 3).map(|_| noise() as u8).collect();
        let mut floats = |count: usize| (0..count).map(|_| noise() as f32 / 1000.0).collect();
        Self {
            pixels,
            points: floats(POINTS * 3),
            colors: floats(POINTS * 3),
            intensity: floats(POINTS),
            position: [1.25, 2.5, -3.0],
            orientation: [0.1, 0.2, 0.3, 0.9],
            angles: [0.1, -0.2, 0.3, -0.4, 0.5, -0.6],
            speeds: [1.1, 1.2, 1.3, 1.4, 1.5, 1.6],
            frames: [[0.7; 16], [0.8; 16]],
        }
    }

    /// The arrays of a message, as bytes.
    pub(super) fn arrays(&self, kind: Kind) -> Vec<&[u8]> {
        use bytemuck::cast_slice;
        match kind {
            Kind::Image => vec![&self.pixels[..]],
            Kind::Pose => vec![cast_slice(&self.position), cast_slice(&self.orientation)],
            Kind::PointCloud => [&self.points, &self.colors, &self.intensity]
                .map(|floats| cast_slice(&floats[..]))
                .into(),
            Kind::Dict => {
                let [base, tool] = &self.frames;
                vec![
                    cast_slice(&self.angles),
                    cast_slice(&self.speeds),
                    cast_slice(base),
                    cast_slice(tool),
                ]
            }
        }
    }
}
