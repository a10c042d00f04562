//! Composes a scene: where it is, by which light, and each thing put down in its place with its shadow.

use resvg::tiny_skia::{PathBuilder, Pixmap};

use crate::{
    Error, Manner, Scene,
    arrange::{Item, arrange, decorate, play},
    backdrop::{self, Footing, Setting},
    canvas::{Canvas, Stamp},
    drawings::{self, Drawing, Sprite},
    nature::{Nature, nature},
    palette::{self, Rgb, hex, mix},
    random::Random,
    sky::Sun,
    treatment::Style,
    words::{Hour, Place, Reading, Weather},
};

/// Paints the scene up to, not including, its treatment.
pub fn compose(scene: &Scene, reading: &Reading, style: Style) -> Result<Canvas, Error> {
    let (width, height) = (scene.width, scene.height);
    let mut canvas = Canvas::new(width, height).ok_or(Error::Size { width, height })?;
    let mut random = Random::new(&[scene.prompt, scene.manner.as_str()], scene.seed);
    let all = drawings::all()?;
    let subjects =
        reading.subjects.iter().copied().filter(|subject| all[subject.drawing].in_set(scene.manner));
    let subjects = subjects.map(|subject| (subject.drawing, subject.copies)).collect::<Vec<_>>();
    let mut subjects = play(&subjects, all, scene.manner, reading, &mut random);
    if subjects.is_empty() && style.is_studio() {
        // A turntable is never empty.
        let name = random.pick(&["gem-stone", "teapot", "amphora", "puzzle-piece", "crystal-ball"]);
        subjects.extend(all.iter().position(|drawing| drawing.name == name).map(|drawing| (drawing, 1)));
    }
    let main = subjects.first().map(|(drawing, _)| nature(&all[*drawing], scene.manner));
    let setting = setting(scene, reading, style, main, &mut random);
    backdrop::paint(&mut canvas, &setting, &mut random);
    (canvas.lamp, canvas.horizon) = ((setting.sun.x, setting.sun.y), setting.horizon);
    let mut items = arrange(scene.manner, &subjects, all, &setting, reading, &mut random);
    items.extend(decorate(scene.manner, all, &setting, reading, &items, &mut random));
    items.sort_by(|a, b| a.depth.total_cmp(&b.depth).then(a.main.cmp(&b.main)));
    for item in &items {
        place(&mut canvas, &setting, &all[item.drawing], item, style)?;
    }
    weather(&mut canvas, &setting, reading, &mut random);
    Ok(canvas)
}

fn setting(
    scene: &Scene,
    reading: &Reading,
    style: Style,
    main: Option<Nature>,
    random: &mut Random,
) -> Setting {
    let manner = scene.manner;
    let fallback = match main {
        Some(Nature::Head | Nature::Bust) if reading.portrait || random.chance(0.6) => Place::Studio,
        Some(Nature::Small) => random.pick(&[Place::Interior, Place::Interior, Place::Studio]),
        Some(Nature::Ship) => Place::Sea,
        Some(Nature::Swimmer) => Place::Underwater,
        Some(Nature::Vehicle) => Place::City,
        Some(Nature::Flyer | Nature::Heaven) => random.pick(&[Place::Mountains, Place::Field, Place::Sea]),
        Some(Nature::Tree) => Place::Forest,
        Some(Nature::Huge) => random.pick(&[Place::Field, Place::Mountains]),
        None => random.pick(&[Place::Mountains, Place::Field, Place::Abstract, Place::Sea, Place::Forest]),
        _ => random.pick(&[Place::Field, Place::Forest, Place::Mountains, Place::Field]),
    };
    let mut place = reading.place.unwrap_or(fallback);
    if place == Place::Abstract && matches!(main, Some(Nature::Huge | Nature::Vehicle)) {
        place = Place::Field;
    }
    if place == Place::Interior
        && matches!(main, Some(Nature::Huge | Nature::Vehicle | Nature::Ship | Nature::Tree))
    {
        place = fallback;
    }
    if style.is_studio() {
        place = Place::Stage;
    }
    let hours: &[Hour] = match manner {
        Manner::Noto => &[Hour::Day, Hour::Sunset, Hour::Day, Hour::Dawn, Hour::Night],
        Manner::Fluent => &[Hour::Day, Hour::Day, Hour::Dawn, Hour::Sunset, Hour::Night],
    };
    let hour = reading.hour.unwrap_or_else(|| random.pick(hours));
    let (width, height) = (scene.width as f32, scene.height as f32);
    let unit = width.min(height);
    let share = match (place, manner) {
        (Place::Interior, Manner::Noto) => 0.66,
        (Place::Interior, Manner::Fluent) => 0.72,
        (Place::Space, _) => 0.76,
        (Place::Underwater | Place::Abstract, _) => 0.85,
        (Place::Studio | Place::Stage, _) => 0.7,
        (_, Manner::Noto) => random.between(0.58, 0.66),
        (_, Manner::Fluent) => random.between(0.64, 0.72),
    };
    // The two manners light from different sides, and the painter's sun stands lower.
    let side = if (manner == Manner::Noto) == scene.seed.is_multiple_of(2) { 0.74 } else { 0.25 };
    let low = hour == Hour::Sunset;
    let sun = Sun {
        x: width * (side + random.between(-0.08, 0.08)),
        y: height * share * if low { random.between(0.62, 0.9) } else { random.between(0.16, 0.4) },
        radius: unit
            * if manner == Manner::Noto { random.between(0.04, 0.065) } else { random.between(0.075, 0.11) },
    };
    let palette = palette::choose(manner, place, hour, reading, random);
    Setting { manner, place, hour, palette, sun, horizon: height * share }
}

fn place(
    canvas: &mut Canvas,
    setting: &Setting,
    drawing: &Drawing,
    item: &Item,
    style: Style,
) -> Result<(), Error> {
    let unit = canvas.unit();
    let (width, bottom) = (canvas.width as f32, canvas.height as f32);
    let mut height = unit * item.height;
    let Some(aspect) = drawing.aspect(setting.manner) else { return Ok(()) };
    // What is broad is held to the same area as what is tall.
    if aspect > 1.25 {
        height *= (1.25 / aspect).sqrt();
    }
    height = height.min(unit * 0.82 / aspect);
    let bust = item.nature == Nature::Head && (item.main || item.depth > 0.9);
    let sprite = if bust {
        shoulders(drawing, setting, height)?
    } else {
        drawing.render(setting.manner, height.max(2.0))?
    };
    let (sw, sh) = (sprite.pixmap.width() as f32, sprite.pixmap.height() as f32);
    let footing = setting.footing();
    let cut = bust || item.nature == Nature::Bust && item.main;
    let floats = item.depth < 0.0 || footing == Footing::Afloat && item.main;
    let foot = if cut {
        bottom + 1.0
    } else if floats {
        setting.horizon * (1.0 + item.depth * 0.62) + sh * 0.5
    } else {
        setting.horizon + (bottom - setting.horizon) * item.depth.min(0.97)
    };
    let foot = if footing == Footing::Water && !floats && item.main { foot + sh * 0.1 } else { foot };
    let left = item.x * width - sw / 2.0;
    // Nothing that matters leaves the picture, and nothing touches its upper edge.
    let left =
        if item.main { left.clamp(unit * 0.02, (width - sw - unit * 0.02).max(unit * 0.02)) } else { left };
    let top = (foot - sh).max(unit * 0.03);
    let palette = setting.palette;
    let near = if item.depth < 0.0 { 0.12 } else { (1.0 - item.depth).max(0.0) };
    let haze = if item.main {
        0.0
    } else {
        near.powi(2)
            * if matches!(setting.place, Place::Interior | Place::Studio | Place::Stage) { 0.12 } else { 0.5 }
    };
    let light = mix(palette.light, [1.0; 3], if item.main { 0.72 } else { 0.5 });
    let air = mix(palette.low, palette.middle, 0.4);
    let mut stamp = Stamp {
        light,
        haze: (air, haze),
        flip: item.flip,
        subject: item.depth >= 0.3 || item.main || floats,
        ..Stamp::default()
    };
    if setting.manner == Manner::Noto {
        let side = if setting.sun.x > item.x * width { 1.0 } else { -1.0 };
        stamp.rim = Some((palette.sun, 0.55, side));
    }
    style.dress(&mut stamp, unit, item.main);
    let middle = left + sw / 2.0;
    if !floats && !cut {
        match footing {
            Footing::Water => mirror(canvas, &sprite, left, foot, item.flip, &stamp),
            _ => shadow(canvas, setting, &sprite, left, foot, item.flip),
        }
    }
    if floats && item.main && setting.manner == Manner::Noto {
        canvas.glow(middle, foot - sh / 2.0, sh, palette.sun, 0.22);
    }
    canvas.stamp(&sprite, left, top, &stamp);
    if footing == Footing::Water && !floats && !cut {
        waterline(canvas, setting, left, foot, sw, sh);
    }
    if item.main {
        canvas.focus = (middle, top + sh * 0.5, sh.max(sw) * 0.5);
    }
    Ok(())
}

/// The shadow of a thing on the ground, in the manner's way.
fn shadow(canvas: &mut Canvas, setting: &Setting, sprite: &Sprite, left: f32, foot: f32, flip: bool) {
    let (sw, sh) = (sprite.pixmap.width() as f32, sprite.pixmap.height() as f32);
    let middle = left + sw / 2.0;
    let dark = mix(setting.palette.ground[1], [0.02, 0.02, 0.08], 0.75);
    let away = if setting.sun.x > middle { -1.0 } else { 1.0 };
    if setting.manner == Manner::Noto {
        canvas.shade(middle + away * sw * 0.14, foot - sh * 0.005, sw * 0.66, sh * 0.1, dark, 0.55);
        canvas.shade(middle, foot - sh * 0.01, sw * 0.46, sh * 0.05, dark, 0.75);
    } else {
        canvas.shade(middle, foot - sh * 0.01, sw * 0.42, sh * 0.045, dark, 0.6);
        canvas.cast(sprite, left, foot, (away * 1.3, 0.32, flip), dark, 0.3);
    }
}

/// What still water shows of a thing above it.
fn mirror(canvas: &mut Canvas, sprite: &Sprite, left: f32, foot: f32, flip: bool, stamp: &Stamp) {
    let (sw, sh) = (sprite.pixmap.width(), sprite.pixmap.height());
    let source = sprite.pixmap.data();
    let unit = canvas.unit();
    canvas.region(
        left - unit * 0.02,
        foot - sh as f32 * 0.06,
        left + sw as f32 + unit * 0.02,
        foot + sh as f32 * 0.6,
        |x, y, old| {
            let down = y - foot + sh as f32 * 0.08;
            let sway = (y / unit * 90.0).sin() * unit * 0.006 * (0.4 + down / sh as f32);
            let column = x - left + sway;
            let row = sh as f32 - 1.0 - down * 1.4;
            if column < 0.0 || row < 0.0 || column >= sw as f32 || row >= sh as f32 {
                return old;
            }
            let column = if flip { sw - 1 - column as u32 } else { column as u32 };
            let from = ((row as u32 * sw + column) * 4) as usize;
            let alpha = f32::from(source[from + 3]) / 255.0;
            let colour =
                [0, 1, 2].map(|i| f32::from(source[from + i]) / 255.0 * stamp.light[i] / alpha.max(0.01));
            mix(old, mix(colour, old, 0.35), alpha * 0.5 * (1.0 - down / (sh as f32 * 0.75)).max(0.0))
        },
    );
}

/// Waves that cover the lower edge of what floats.
fn waterline(canvas: &mut Canvas, setting: &Setting, left: f32, foot: f32, sw: f32, sh: f32) {
    let unit = canvas.unit();
    let water = mix(setting.palette.water[0], setting.palette.water[1], 0.55);
    for (row, light) in [(0.0, 0.35), (0.02, 0.15)] {
        let y = foot - sh * 0.03 + row * unit;
        let points = [
            (left - sw * 0.08, y),
            (left + sw * 0.5, y - sh * 0.012),
            (left + sw * 1.08, y),
            (left + sw * 0.5, y + sh * 0.03),
        ];
        canvas.polygon(&points, mix(water, [1.0; 3], light), 0.7);
    }
}

/// A head with neck and shoulders under it.
fn shoulders(drawing: &Drawing, setting: &Setting, height: f32) -> Result<Sprite, Error> {
    let manner = setting.manner;
    let damaged = || Error::Drawing(drawing.name);
    let units = drawing.units(manner).ok_or_else(damaged)?;
    let aspect = drawing.aspect(manner).ok_or_else(damaged)?;
    let head = height.max(4.0);
    let wide = head * aspect;
    let (w, h) = (head * 1.9, head * 1.42);
    let mut pixmap = Pixmap::new(w.ceil() as u32, h.ceil() as u32).ok_or_else(damaged)?;
    let middle = w / 2.0;
    let cloth = setting.palette.accent;
    let skin = hex(if manner == Manner::Noto { 0xe8_a81c } else { 0xf0_a828 });
    let mut canvas = Canvas {
        width: pixmap.width() as usize,
        height: pixmap.height() as usize,
        mask: Vec::new(),
        focus: (0.0, 0.0, 0.0),
        lamp: (0.0, 0.0),
        horizon: 0.0,
        pixmap: Pixmap::new(1, 1).ok_or_else(damaged)?,
    };
    std::mem::swap(&mut canvas.pixmap, &mut pixmap);
    let torso = |spread: f32, drop: f32| {
        let mut path = PathBuilder::new();
        path.move_to(middle - head * 0.2 * spread, head * (0.98 + drop));
        path.cubic_to(
            middle - head * 0.45,
            head * (1.1 + drop),
            middle - head * 0.86 * spread,
            head * (1.02 + drop),
            middle - head * 0.93 * spread,
            h + 1.0,
        );
        path.line_to(middle + head * 0.93 * spread, h + 1.0);
        path.cubic_to(
            middle + head * 0.86 * spread,
            head * (1.02 + drop),
            middle + head * 0.45,
            head * (1.1 + drop),
            middle + head * 0.2 * spread,
            head * (0.98 + drop),
        );
        path.close();
        path.finish()
    };
    let shade = |c: Rgb, by: f32| c.map(|v| v * by);
    canvas.fill_down(
        torso(1.0, 0.0),
        [mix(cloth, [1.0; 3], 0.12), shade(cloth, if manner == Manner::Noto { 0.55 } else { 0.9 })],
        [head, h],
        1.0,
    );
    let neck = [
        (middle - head * 0.19, head * 0.8),
        (middle + head * 0.19, head * 0.8),
        (middle + head * 0.22, head * 1.04),
        (middle, head * 1.2),
        (middle - head * 0.22, head * 1.04),
    ];
    canvas.polygon(&neck, skin, 1.0);
    let collar = mix(cloth, [1.0; 3], 0.55);
    for side in [-1.0, 1.0] {
        canvas.polygon(
            &[
                (middle + side * head * 0.2, head * 0.99),
                (middle + side * head * 0.3, head * 1.05),
                (middle + side * head * 0.06, head * 1.29),
                (middle, head * 1.19),
            ],
            collar,
            1.0,
        );
    }
    std::mem::swap(&mut canvas.pixmap, &mut pixmap);
    drawing.render_into(manner, &mut pixmap, head / units, middle - wide / 2.0, 0.0)?;
    Ok(Sprite { pixmap })
}

fn weather(canvas: &mut Canvas, setting: &Setting, reading: &Reading, random: &mut Random) {
    if matches!(
        setting.place,
        Place::Interior | Place::Studio | Place::Stage | Place::Space | Place::Underwater | Place::Abstract
    ) {
        return;
    }
    let (unit, width, height) = (canvas.unit(), canvas.width as f32, canvas.height as f32);
    let snowing =
        reading.weather == Some(Weather::Snow) || setting.place == Place::Snow && reading.weather.is_none();
    if snowing {
        for _ in 0..110 {
            let near = random.unit().powi(2);
            canvas.disc(
                random.unit() * width,
                random.unit() * height,
                unit * (0.0015 + 0.006 * near),
                [1.0; 3],
                0.5 + 0.4 * near,
            );
        }
    } else if reading.weather == Some(Weather::Rain) {
        for _ in 0..130 {
            let (x, y, long) =
                (random.unit() * width * 1.1, random.unit() * height, unit * random.between(0.02, 0.06));
            let thick = (unit * 0.0016).max(0.6);
            canvas.polygon(
                &[(x, y), (x + thick, y), (x - long * 0.25 + thick, y + long), (x - long * 0.25, y + long)],
                [0.85, 0.92, 1.0],
                0.42,
            );
        }
    } else if reading.weather == Some(Weather::Fog) {
        let (air, horizon) = (mix(setting.palette.low, [0.9, 0.9, 0.92], 0.3), setting.horizon);
        let shift = random.unit();
        canvas.map(|x, y, old| {
            let band = (1.0 - ((y - horizon) / (height * 0.34)).abs()).max(0.0);
            let wisp = crate::random::clouds(shift + x / unit * 0.12, shift + y / unit * 0.3);
            mix(old, air, band * (0.25 + 0.6 * wisp))
        });
    }
}
