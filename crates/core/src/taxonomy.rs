//! The twelve categories and their 134 sub-categories.

use std::sync::OnceLock;

/// A category and its sub-categories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Category {
    /// As published, for instance `Pixel art`.
    pub name: String,
    /// As published, for instance `8-bit graphics`.
    pub sub_categories: Vec<String>,
}

const TAXONOMY: &str = include_str!("../data/taxonomy.json");

/// The categories, by name.
pub fn categories() -> &'static [Category] {
    static CATEGORIES: OnceLock<Vec<Category>> = OnceLock::new();
    CATEGORIES.get_or_init(|| {
        // The file is part of the program and a test reads it, so it cannot be malformed here.
        let map: std::collections::BTreeMap<String, Vec<String>> =
            serde_json::from_str(TAXONOMY).unwrap_or_default();
        map.into_iter().map(|(name, sub_categories)| Category { name, sub_categories }).collect()
    })
}

/// One category and one of its sub-categories, each uniform among its kind, decided by `draw`
/// (see [`crate::seed::draw`]): two independent numbers.
pub fn pick(draw: (u64, u64)) -> (&'static str, &'static str) {
    let categories = categories();
    let category = &categories[crate::seed::below(draw.0, categories.len())];
    let sub = &category.sub_categories[crate::seed::below(draw.1, category.sub_categories.len())];
    (&category.name, sub)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    #[test]
    fn there_are_twelve_categories_and_134_sub_categories() {
        assert_eq!(categories().len(), 12);
        assert_eq!(categories().iter().map(|category| category.sub_categories.len()).sum::<usize>(), 134);
    }

    #[test]
    fn every_category_is_picked_about_equally_often() {
        let mut counts: HashMap<&str, u32> = HashMap::new();
        for index in 0..12_000 {
            let draw = (crate::seed::draw(42, "category", index), crate::seed::draw(42, "sub", index));
            *counts.entry(pick(draw).0).or_default() += 1;
        }
        assert_eq!(counts.len(), 12);
        // 1,000 expected each; six standard deviations are 182.
        assert!(counts.values().all(|count| (818..=1182).contains(count)), "{counts:?}");
    }
}
