//! Whether the tree stands: parents of the level above, nothing left below what
//! ended, one city.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    super::{Attributes, Division, Life, Row},
    Codes, Named, Taking,
};

impl<'a> Taking<'a> {
    /// The rows as divisions, each under its parent.
    pub(super) fn placed(
        &mut self,
        rows: &[Row],
        named: &[Named<'a>],
        codes: &Codes<'a>,
    ) -> Vec<Division> {
        let in_file: BTreeSet<&str> = rows.iter().map(|row| row.code.as_str()).collect();
        let mut divisions = Vec::new();
        for (id, row) in named {
            let attributes = row.then.as_ref().map(|then| {
                let parent = match codes.get(then.parent.as_str()) {
                    _ if then.tier == "city" => None,
                    Some((parent, tier)) => {
                        if !above(&then.tier).contains(tier) {
                            self.refuse(row, "上级层级不符 / the parent is not of the level above");
                        }
                        Some((*parent).to_owned())
                    }
                    None => {
                        // A parent that was refused itself is told once.
                        if !in_file.contains(then.parent.as_str()) {
                            let what =
                                format!("上级 {0} 不存在 / parent {0} is unknown", then.parent);
                            self.refuse(row, &what);
                        }
                        None
                    }
                };
                let (code, name, tier) = (row.code.clone(), then.name.clone(), then.tier.clone());
                Attributes { code, name, parent, tier }
            });
            let id = (*id).to_owned();
            divisions.push(Division { id, valid_from: self.day, attributes });
        }
        divisions
    }

    /// A register is that of one city, whenever its rows begin to hold.
    pub(super) fn one_city(&mut self, named: &[Named<'a>]) {
        let ever = |(id, life): (&'a String, &'a Life)| {
            let mut whats = life.periods().into_iter().filter_map(|period| period.value.as_ref());
            whats.any(|what| what.tier == "city").then_some(id.as_str())
        };
        let mut city = self.register.divisions.iter().find_map(ever);
        for (id, row) in named {
            if row.then.as_ref().is_some_and(|then| then.tier == "city")
                && *city.get_or_insert(id) != *id
            {
                self.refuse(row, "区划名录只能有一个市 / the register is that of one city");
            }
        }
    }

    /// Whether something begins below a division while it would have ended.
    fn comes_below(&self, id: &str) -> bool {
        let life = self.register.divisions.get(id);
        let until = life.and_then(|life| life.next_after(self.day));
        let lives = self.register.divisions.values().flat_map(Life::periods);
        let mut after = lives
            .filter(|p| p.from > self.day && until.is_none_or(|until| p.from < until))
            .filter_map(|p| p.value.as_ref());
        after.any(|child| child.parent.as_deref() == Some(id))
    }

    /// What stands below a changed division must still stand below something fit.
    pub(super) fn left_below(&mut self, named: &[Named<'a>], codes: &Codes<'a>) {
        let rows: BTreeMap<&str, &Row> = named.iter().copied().collect();
        let mut broken = BTreeSet::new();
        for (child, tier) in codes.values().filter(|(id, _)| !rows.contains_key(id)) {
            let parent = self.on_the_day(child).and_then(|kept| kept.parent.as_deref());
            let Some((parent, row)) = parent.and_then(|id| rows.get_key_value(id)) else {
                continue;
            };
            let fits = row.then.as_ref().is_some_and(|then| above(tier).contains(&&*then.tier));
            if !fits && broken.insert(*parent) {
                self.refuse(row, BELOW);
            }
        }
        for (id, row) in named.iter().filter(|(_, row)| row.then.is_none()) {
            if !broken.contains(id) && self.comes_below(id) {
                self.refuse(row, BELOW);
            }
        }
    }
}

const BELOW: &str = "其下尚有区划,请一并调整 / divisions below it have to move with it";

/// The tiers that may stand above one; 东莞 has no districts.
fn above(tier: &str) -> &'static [&'static str] {
    match tier {
        "district" => &["city"],
        "township" => &["district", "city"],
        "village" => &["township"],
        _ => &[],
    }
}
