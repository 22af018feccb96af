//! Plots of a report.

use std::error::Error;
use std::fs;
use std::path::Path;

use plotters::prelude::*;

use crate::report::Report;
use crate::suite::{Better, Chart, Suite, number};

/// Distinct colours, also for readers with red-green colour blindness.
const COLOURS: [RGBColor; 8] = [
    RGBColor(0x00, 0x72, 0xb2),
    RGBColor(0xe6, 0x9f, 0x00),
    RGBColor(0x00, 0x9e, 0x73),
    RGBColor(0xcc, 0x79, 0xa7),
    RGBColor(0x56, 0xb4, 0xe9),
    RGBColor(0xd5, 0x5e, 0x00),
    RGBColor(0x8c, 0x6b, 0x1f),
    RGBColor(0x60, 0x60, 0x60),
];
const PANEL: (u32, u32) = (960, 360);
const LEGEND: u32 = 250;
/// Width of a task on the x axis; many tasks make a panel wider.
const TASK: u32 = 124;

/// The file that a suite is drawn into.
pub(crate) fn file_name(suite: &Suite) -> String {
    format!("bench-{}.svg", suite.name)
}

/// Draws each suite into its file.
pub(crate) fn draw(report: &Report, folder: &Path) -> Result<(), Box<dyn Error>> {
    fs::create_dir_all(folder)?;
    for suite in &report.suites {
        let path = folder.join(file_name(suite));
        let size = (width(suite), PANEL.1 * suite.drawn.len() as u32);
        let root = SVGBackend::new(&path, size).into_drawing_area();
        root.fill(&WHITE)?;
        for (area, &column) in root.split_evenly((suite.drawn.len(), 1)).iter().zip(&suite.drawn) {
            draw_panel(area, suite, column)?;
        }
        root.present()?;
    }
    Ok(())
}

fn width(suite: &Suite) -> u32 {
    PANEL.0.max(LEGEND + 80 + TASK * suite.tasks().len() as u32)
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

/// The label of a line of the y axis. The scale is logarithmic: only some labels fit.
fn scale_label(y: &f64) -> String {
    let digit = (y / 10_f64.powf(y.log10().floor() + 1e-9)).round() as u32;
    if matches!(digit, 1 | 2 | 5 | 10) { number(*y) } else { String::new() }
}

fn draw_panel(area: &Area<'_>, suite: &Suite, column: usize) -> Result<(), Box<dyn Error>> {
    let (plot, legend) = area.split_horizontally(width(suite) - LEGEND);
    let tasks = suite.tasks();
    let contenders = suite.contenders();
    let summaries: Vec<_> = suite.rows.iter().map(|row| row.summary(column)).collect();
    let top = summaries.iter().map(|summary| summary.high).fold(0.0, f64::max);
    let bottom = summaries
        .iter()
        .map(|summary| summary.low)
        .filter(|low| *low > 0.0)
        .fold(f64::INFINITY, f64::min)
        .min(top);
    let figure = &suite.columns[column];
    let better = match figure.better {
        Better::Lower => ", lower is better",
        Better::Higher => ", higher is better",
        Better::Neither => "",
    };
    let title = format!("{}: {} in {}{better}", suite.name, figure.name, figure.unit);
    let mut builder = ChartBuilder::on(&plot);
    builder
        .caption(title, ("sans-serif", 18))
        .margin(12)
        .x_label_area_size(28)
        .y_label_area_size(64);
    let mut chart = builder.build_cartesian_2d(
        -0.5..tasks.len() as f64 - 0.5,
        (bottom * 0.7..top * 1.4).log_scale(),
    )?;
    let name = |x: &f64| {
        let is_whole = (x - x.round()).abs() < 1e-6;
        let index = is_whole.then(|| x.round() as usize);
        index.and_then(|index| tasks.get(index)).map_or(String::new(), |task| (*task).to_owned())
    };
    chart
        .configure_mesh()
        .disable_x_mesh()
        .x_labels(tasks.len() * 2 + 1)
        .x_label_formatter(&name)
        .y_label_formatter(&scale_label)
        .light_line_style(WHITE)
        .draw()?;
    for (index, contender) in contenders.iter().enumerate() {
        let colour = COLOURS[index % COLOURS.len()];
        // Colours that are used again are paler.
        let strength = if index < COLOURS.len() { 1.0 } else { 0.45 };
        let step = 0.8 / contenders.len() as f64;
        let points: Vec<_> = tasks
            .iter()
            .enumerate()
            .filter_map(|(x, task)| Some((x as f64, suite.row(task, contender)?)))
            .map(|(x, row)| (x, row.summary(column)))
            .collect();
        match suite.chart {
            Chart::Bars => {
                for (x, summary) in &points {
                    let left = x - 0.4 + index as f64 * step;
                    let corners = [(left, bottom * 0.7), (left + step * 0.85, summary.median)];
                    chart.draw_series([Rectangle::new(corners, colour.mix(strength).filled())])?;
                    let middle = left + step * 0.425;
                    let ends = [(middle, summary.low), (middle, summary.high)];
                    chart.draw_series([PathElement::new(ends, BLACK)])?;
                }
            }
            Chart::Lines => {
                let line = points.iter().map(|(x, summary)| (*x, summary.median));
                let style = colour.mix(strength).stroke_width(2);
                chart.draw_series(LineSeries::new(line.clone(), style))?;
                chart.draw_series(
                    line.map(|at| Circle::new(at, 3, colour.mix(strength).filled())),
                )?;
                for (x, summary) in &points {
                    let ends = [(*x, summary.low), (*x, summary.high)];
                    chart.draw_series([PathElement::new(ends, colour.mix(strength))])?;
                }
            }
        }
        let y = 48 + index as i32 * 20;
        legend.draw(&Rectangle::new([(4, y), (16, y + 12)], colour.mix(strength).filled()))?;
        legend.draw(&Text::new((*contender).to_owned(), (22, y), ("sans-serif", 13)))?;
    }
    Ok(())
}
