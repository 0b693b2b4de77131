//! Which symbols matter to a ticket: files point to those that define the names they use, and a walk along these pointers,
//! which begins anew at the files that fit the ticket, tells where it passes most often. After Brin and Page, "The Anatomy
//! of a Large-Scale Hypertextual Web Search Engine" (1998), with the weights of names that have proved good in aider's map
//! of repositories.

use std::collections::{BTreeMap, BTreeSet};

use super::FileSymbols;

/// How likely the walk goes on along a pointer; otherwise it begins anew.
const DAMPING: f64 = 0.85;
/// How many steps of the walk are computed. What is left of its beginning after them is below one in a hundred.
const STEPS: usize = 30;
/// A name that more files than that define says little about where it leads.
const COMMON: usize = 5;
/// A name that more files than that define leads nowhere.
const EVERYWHERE: usize = 20;
/// The most pointers that are followed: files can be written so that each points to all others.
const MAXIMUM_POINTERS: usize = 1_000_000;
/// A name of at least that many letters and of several words was chosen with care.
const LONG: usize = 8;

/// A file that was parsed.
#[derive(Clone, Debug, Default)]
pub struct ParsedFile {
    /// How well it fits the ticket; 0 for not at all.
    pub fits: f64,
    /// Its symbols.
    pub symbols: FileSymbols,
}

/// A symbol's place in what was ranked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The file's number.
    pub file: usize,
    /// The definition's number in it.
    pub definition: usize,
}

struct Pointer<'a> {
    from: usize,
    to: usize,
    name: &'a str,
    weight: f64,
}

/// The definitions of `files`, those that matter most first. `mentioned` are the ticket's words.
pub fn rank(files: &[ParsedFile], mentioned: &BTreeSet<String>) -> Vec<Place> {
    let pointers = pointers(files, mentioned);
    let start = beginnings(files);
    let mut leaving = vec![0.0; files.len()];
    for pointer in &pointers {
        leaving[pointer.from] += pointer.weight;
    }
    let visits = walk(&pointers, &leaving, &start);
    let mut through: BTreeMap<(usize, &str), f64> = BTreeMap::new();
    for pointer in &pointers {
        let share = visits[pointer.from] * pointer.weight / leaving[pointer.from];
        *through.entry((pointer.to, pointer.name)).or_default() += share;
    }
    let mut ranked: Vec<(f64, Place)> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        let definitions = &file.symbols.definitions;
        for (definition, symbol) in definitions.iter().enumerate() {
            let name = symbol.name.as_str();
            let passed = through.get(&(number, name)).copied().unwrap_or(0.0);
            // What nobody points to still stands in a file that fits.
            let own = start[number] * weight(name, 1, mentioned) / definitions.len() as f64;
            let place = Place {
                file: number,
                definition,
            };
            ranked.push((passed + own / 10.0, place));
        }
    }
    ranked.sort_by(|(one, here), (other, there)| other.total_cmp(one).then(here.cmp(there)));
    ranked.into_iter().map(|(_, place)| place).collect()
}

fn pointers<'a>(files: &'a [ParsedFile], mentioned: &BTreeSet<String>) -> Vec<Pointer<'a>> {
    let mut definers: BTreeMap<&str, BTreeSet<usize>> = BTreeMap::new();
    for (number, file) in files.iter().enumerate() {
        for definition in &file.symbols.definitions {
            definers.entry(&definition.name).or_default().insert(number);
        }
    }
    let mut pointers = Vec::new();
    for (from, file) in files.iter().enumerate() {
        for (name, count) in &file.symbols.references {
            let Some((name, by)) = definers.get_key_value(name.as_str()) else {
                continue;
            };
            if by.len() > EVERYWHERE {
                continue;
            }
            let weight = weight(name, by.len(), mentioned) * f64::from(*count).sqrt();
            if pointers.len() + by.len() > MAXIMUM_POINTERS {
                return pointers;
            }
            pointers.extend(by.iter().map(|to| Pointer {
                from,
                to: *to,
                name,
                weight,
            }));
        }
    }
    pointers
}

fn weight(name: &str, definers: usize, mentioned: &BTreeSet<String>) -> f64 {
    let of_words = name.contains('_') || name.chars().skip(1).any(char::is_uppercase);
    let mut weight = 1.0;
    if mentioned.contains(&name.to_lowercase()) {
        weight *= 10.0;
    }
    if name.len() >= LONG && of_words {
        weight *= 10.0;
    }
    if name.starts_with('_') {
        weight *= 0.1;
    }
    if definers > COMMON {
        weight *= 0.1;
    }
    weight
}

/// Where the walk begins: at files as they fit the ticket, or anywhere if none does.
fn beginnings(files: &[ParsedFile]) -> Vec<f64> {
    let sum: f64 = files.iter().map(|file| file.fits).sum();
    let share = |file: &ParsedFile| match sum > 0.0 {
        true => file.fits / sum,
        false => 1.0 / files.len() as f64,
    };
    files.iter().map(share).collect()
}

fn walk(pointers: &[Pointer<'_>], leaving: &[f64], start: &[f64]) -> Vec<f64> {
    let mut visits = start.to_vec();
    for _ in 0..STEPS {
        let ends = visits
            .iter()
            .zip(leaving)
            .filter(|(_, leaving)| **leaving == 0.0);
        let stranded: f64 = ends.map(|(visits, _)| visits).sum();
        let again = 1.0 - DAMPING + DAMPING * stranded;
        let mut next: Vec<f64> = start.iter().map(|share| share * again).collect();
        for pointer in pointers {
            let share = pointer.weight / leaving[pointer.from];
            next[pointer.to] += DAMPING * visits[pointer.from] * share;
        }
        visits = next;
    }
    visits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{super::Definition, *};

    fn file(fits: f64, defines: &[&str], uses: &[(&str, u32)]) -> ParsedFile {
        let definition = |name: &&str| Definition {
            name: (*name).to_owned(),
            line: 1,
            text: String::new(),
        };
        ParsedFile {
            fits,
            symbols: FileSymbols {
                definitions: defines.iter().map(definition).collect(),
                references: uses
                    .iter()
                    .map(|(name, count)| ((*name).to_owned(), *count))
                    .collect(),
            },
        }
    }

    fn names(files: &[ParsedFile], mentioned: &[&str]) -> Vec<String> {
        let mentioned = mentioned.iter().map(|word| (*word).to_owned()).collect();
        let name = |place: &Place| {
            files[place.file].symbols.definitions[place.definition]
                .name
                .clone()
        };
        rank(files, &mentioned).iter().map(name).collect()
    }

    #[test]
    fn what_a_fitting_file_uses_comes_before_what_others_use() {
        let files = [
            file(1.0, &["caller"], &[("helper_of_fitting", 1)]),
            file(0.0, &["unrelated"], &[("helper_of_unrelated", 9)]),
            file(
                0.0,
                &["helper_of_unrelated", "helper_of_fitting"],
                &[("deep_down_below", 1)],
            ),
            file(0.0, &["deep_down_below"], &[]),
        ];
        let names = names(&files, &[]);
        assert_eq!(
            names[..3],
            ["helper_of_fitting", "deep_down_below", "caller"]
        );
    }

    #[test]
    fn a_name_that_the_ticket_has_counts_more_and_one_that_all_define_less() {
        let mut files = vec![file(1.0, &[], &[("alpha", 1), ("beta", 1), ("common", 5)])];
        files.push(file(0.0, &["alpha", "beta"], &[]));
        files.extend((0..6).map(|_| file(0.0, &["common"], &[])));
        assert_eq!(names(&files, &["beta"])[..2], ["beta", "alpha"]);
        assert_eq!(names(&files, &["alpha"])[..2], ["alpha", "beta"]);
    }

    #[test]
    fn nothing_and_files_that_fit_not_are_ranked_too() {
        assert!(names(&[], &[]).is_empty());
        assert_eq!(
            names(&[file(0.0, &["one", "two"], &[])], &[]),
            ["one", "two"]
        );
    }

    #[test]
    fn files_that_all_point_to_each_other_are_followed_up_to_a_number() {
        let names: Vec<String> = (0..2000).map(|number| format!("name{number}")).collect();
        let all: Vec<&str> = names.iter().map(String::as_str).collect();
        let uses: Vec<(&str, u32)> = all.iter().map(|name| (*name, 1)).collect();
        let mut files = vec![file(1.0, &all, &[]); EVERYWHERE];
        files.extend(vec![file(1.0, &[], &uses); 30]);
        let pointers = pointers(&files, &BTreeSet::new());
        assert_eq!(pointers.len(), MAXIMUM_POINTERS);
    }

    proptest! {
        /// Whatever points where, the walk stays a walk: visits are numbers, and together they are one.
        #[test]
        fn visits_add_up(
            uses in proptest::collection::vec(proptest::collection::vec((0_usize..8, 1_u32..9), 0..6), 1..8),
            fits in proptest::collection::vec(0.0_f64..5.0, 8),
        ) {
            let all: Vec<String> = (0..8).map(|number| format!("name{number}")).collect();
            let files: Vec<ParsedFile> = uses.iter().enumerate().map(|(number, uses)| {
                let uses: Vec<(&str, u32)> = uses.iter().map(|(name, count)| (all[*name].as_str(), *count)).collect();
                file(fits[number], &[&all[number]], &uses)
            }).collect();
            let pointers = pointers(&files, &BTreeSet::new());
            let mut leaving = vec![0.0; files.len()];
            for pointer in &pointers {
                leaving[pointer.from] += pointer.weight;
            }
            let visits = walk(&pointers, &leaving, &beginnings(&files));
            prop_assert!((visits.iter().sum::<f64>() - 1.0).abs() < 1e-6, "{:?}", visits);
            prop_assert_eq!(rank(&files, &BTreeSet::new()).len(), files.len());
        }
    }
}
