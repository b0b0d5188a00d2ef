//! THREAD=REFERENCES: RFC 5256 §3, step by step.

use std::collections::HashMap;

use super::forest::Forest;
use super::{Gathered, Item, Thread, Threads};

/// The conversations, by the ids; with `subjects` those of one base subject are put together.
pub(super) fn threads(gathered: Gathered, subjects: bool) -> Threads {
    let mut tree = Tree::of(&gathered);
    tree.sort_top(subjects);
    if subjects {
        tree.gather_subjects();
        tree.sort_top(true);
    }
    tree.sort_answers();
    tree.finish()
}

/// Which message a node of the forest stands for: first one for each id, then those without an id of their own.
struct Nodes {
    forest: Forest,
    message: Vec<Option<usize>>,
}

// Step 1: links between the ids that messages name.
fn linked(gathered: &Gathered) -> Nodes {
    let ids = gathered.ids.len();
    let mut message = vec![None; ids];
    let mut own = Vec::with_capacity(gathered.items.len());
    for (index, item) in gathered.items.iter().enumerate() {
        // Of messages with the same id the first has it.
        match item.id {
            Some(id) if message[id as usize].is_none() => {
                message[id as usize] = Some(index);
                own.push(id);
            }
            _ => {
                // A mailbox has fewer than 2^32 messages, and ids are numbered only so far.
                own.push(u32::try_from(message.len()).unwrap_or(u32::MAX));
                message.push(Some(index));
            }
        }
    }
    let mut forest = Forest::new(message.len());
    for (item, node) in gathered.items.iter().zip(own) {
        // Step 1A: each reference is the parent of the next; a link that is there stays.
        for pair in item.references.windows(2) {
            forest.link(pair[1], pair[0]);
        }
        // Step 1B: the last one is the parent of the message, in place of any that others named.
        forest.cut(node);
        if let Some(last) = item.references.last() {
            forest.link(node, *last);
        }
    }
    Nodes { forest, message }
}

/// The conversations while they are made: a node for each message, in their order, then the dummies.
struct Tree<'a> {
    items: &'a [Item],
    children: Vec<Vec<usize>>,
    top: Vec<usize>,
}

impl<'a> Tree<'a> {
    fn of(gathered: &'a Gathered) -> Tree<'a> {
        let nodes = linked(gathered);
        let above = anchors(&nodes);
        let mut tree = Tree {
            items: &gathered.items,
            children: vec![Vec::new(); gathered.items.len()],
            top: Vec::new(),
        };
        // Steps 2 and 3: dummies go, their children move up; but not to the top if there are several.
        let mut dummies: HashMap<u32, usize> = HashMap::new();
        let mut messages: Vec<(usize, Option<u32>)> = Vec::with_capacity(gathered.items.len());
        for (node, message) in nodes.message.iter().enumerate() {
            messages.extend(message.map(|message| (message, above[node])));
        }
        for (message, above) in messages {
            let Some(above) = above else {
                tree.top.push(message);
                continue;
            };
            let parent = match nodes.message[above as usize] {
                Some(parent) => parent,
                None => *dummies.entry(above).or_insert_with(|| {
                    tree.children.push(Vec::new());
                    tree.children.len() - 1
                }),
            };
            tree.children[parent].push(message);
        }
        for dummy in dummies.into_values() {
            match tree.children[dummy][..] {
                [only] => {
                    tree.children[dummy].clear();
                    tree.top.push(only);
                }
                _ => tree.top.push(dummy),
            }
        }
        tree
    }

    fn message(&self, node: usize) -> Option<&'a Item> {
        self.items.get(node)
    }

    // The message that speaks for a node: its own, or of a dummy the first child.
    fn speaker(&self, node: usize) -> usize {
        match self.message(node) {
            Some(_) => node,
            None => self.children[node].first().copied().unwrap_or(node),
        }
    }

    fn subject(&self, node: usize) -> &'a str {
        self.message(self.speaker(node)).map_or("", |item| &item.subject)
    }

    // Step 4, and 6 for the top: by sent date, then by number.
    fn sort_top(&mut self, by_sent: bool) {
        let items = self.items;
        let key = |node: usize| (items.get(node).map(|item| item.sent), node);
        for dummy in items.len()..self.children.len() {
            self.children[dummy].sort_by_key(|node| key(*node));
        }
        let mut top = std::mem::take(&mut self.top);
        if by_sent {
            top.sort_by_cached_key(|node| key(self.speaker(*node)));
        } else {
            top.sort_by_cached_key(|node| (self.latest(*node), self.speaker(*node)));
        }
        self.top = top;
    }

    // REFS: when the conversation was last added to.
    fn latest(&self, node: usize) -> i64 {
        let mut latest = i64::MIN;
        let mut rest = vec![node];
        while let Some(node) = rest.pop() {
            latest = self.message(node).map_or(latest, |item| latest.max(item.arrived));
            rest.extend(&self.children[node]);
        }
        latest
    }

    // Step 6 below the top.
    fn sort_answers(&mut self) {
        let items = self.items;
        for children in &mut self.children {
            children.sort_by_key(|node| (items.get(*node).map(|item| item.sent), *node));
        }
    }

    // Step 5: conversations of one base subject become one.
    fn gather_subjects(&mut self) {
        let is_reply = |tree: &Self, node: usize| tree.message(node).is_some_and(|item| item.is_reply);
        let is_dummy = |tree: &Self, node: usize| tree.message(node).is_none();
        // Step 5B: a dummy stands for a subject rather than a message, and one that began it than an answer.
        let mut table: HashMap<&'a str, usize> = HashMap::new();
        for &node in self.top.iter().filter(|node| !self.subject(**node).is_empty()) {
            let there = table.entry(self.subject(node)).or_insert(node);
            let stays =
                is_dummy(self, *there) || !(is_dummy(self, node) || (is_reply(self, *there) && !is_reply(self, node)));
            if !stays {
                *there = node;
            }
        }
        // Step 5C: the others are put below the one in the table, or beside it.
        let mut merged = vec![false; self.children.len()];
        for node in self.top.clone() {
            let subject = self.subject(node);
            let Some(there) = table
                .get_mut(subject)
                .filter(|there| !subject.is_empty() && **there != node)
            else {
                continue;
            };
            // A dummy that was made here took the place of one that stands further on.
            if merged.get(node).copied().unwrap_or(false) {
                continue;
            }
            if is_dummy(self, *there) && is_dummy(self, node) {
                let mut children = std::mem::take(&mut self.children[node]);
                self.children[*there].append(&mut children);
                merged[node] = true;
            } else if is_dummy(self, *there) || (is_reply(self, node) && !is_reply(self, *there)) {
                self.children[*there].push(node);
                merged[node] = true;
            } else {
                let dummy = self.children.len();
                self.children.push(vec![*there, node]);
                merged[*there] = true;
                merged[node] = true;
                self.top.push(dummy);
                *there = dummy;
            }
        }
        self.top.retain(|node| !merged.get(*node).copied().unwrap_or(false));
    }

    // From the leaves upwards, without recursion.
    fn finish(self) -> Threads {
        let mut order = self.top.clone();
        let mut at = 0;
        while at < order.len() {
            order.extend(&self.children[order[at]]);
            at += 1;
        }
        let mut made: Vec<Option<Thread>> = Vec::new();
        made.resize_with(self.children.len(), || None);
        for node in order.into_iter().rev() {
            let children = self.children[node].iter().filter_map(|child| made[*child].take());
            made[node] = Some(Thread {
                children: children.collect(),
                uid: self.message(node).map(|item| item.uid),
            });
        }
        Threads(self.top.iter().filter_map(|node| made[*node].take()).collect())
    }
}

// For each node the nearest above it that is no dummy, or else the dummy at the top.
fn anchors(nodes: &Nodes) -> Vec<Option<u32>> {
    let mut anchors: Vec<Option<u32>> = vec![None; nodes.message.len()];
    let mut known = vec![false; nodes.message.len()];
    let mut path = Vec::new();
    for start in 0..nodes.message.len() {
        let mut node = u32::try_from(start).unwrap_or(u32::MAX);
        let anchor = loop {
            if known[node as usize] {
                break anchors[node as usize].or(Some(node));
            }
            let Some(parent) = nodes.forest.parent(node) else {
                known[node as usize] = true;
                break Some(node);
            };
            path.push(node);
            if nodes.message[parent as usize].is_some() {
                break Some(parent);
            }
            node = parent;
        };
        // All on the way are dummies but the first, so one anchor is that of all.
        for node in path.drain(..) {
            anchors[node as usize] = anchor;
            known[node as usize] = true;
        }
    }
    anchors
}
