//! Orders nodes so that each comes after those it points to, or finds the cycles that prevent it.
//! This module must not know what the nodes are.

use std::collections::VecDeque;

/// Returns an order of all nodes in which each comes after those it points to.
///
/// # Errors
/// Returns one cycle for each group of nodes that reach each other. In a cycle, each node points to the next,
/// and the last to the first.
pub(crate) fn order(edges: &[Vec<usize>]) -> Result<Vec<usize>, Vec<Vec<usize>>> {
    let mut pointed_at_by: Vec<Vec<usize>> = vec![Vec::new(); edges.len()];
    for (from, targets) in edges.iter().enumerate() {
        for to in targets {
            pointed_at_by[*to].push(from);
        }
    }
    let order = peel(edges, &pointed_at_by);
    if order.len() == edges.len() {
        return Ok(order);
    }
    let mut left = vec![true; edges.len()];
    for node in order {
        left[node] = false;
    }
    let mut circles = Vec::new();
    for node in 0..edges.len() {
        if !left[node] {
            continue;
        }
        if let Some(circle) = shortest_cycle(node, edges, &left) {
            circles.push(circle);
            let reached = reach(node, edges, &left);
            let reaching = reach(node, &pointed_at_by, &left);
            for (node, is_left) in left.iter_mut().enumerate() {
                *is_left &= !(reached[node] && reaching[node]);
            }
        }
    }
    Err(circles)
}

/// Returns the nodes from which no cycle can be reached, in order.
fn peel(edges: &[Vec<usize>], pointed_at_by: &[Vec<usize>]) -> Vec<usize> {
    let mut open: Vec<usize> = edges.iter().map(Vec::len).collect();
    let mut order: Vec<usize> = (0..edges.len()).filter(|node| open[*node] == 0).collect();
    let mut next = 0;
    while let Some(node) = order.get(next).copied() {
        next += 1;
        for from in &pointed_at_by[node] {
            open[*from] -= 1;
            if open[*from] == 0 {
                order.push(*from);
            }
        }
    }
    order
}

/// Returns a shortest cycle that contains `start`.
fn shortest_cycle(start: usize, edges: &[Vec<usize>], left: &[bool]) -> Option<Vec<usize>> {
    let mut came_from: Vec<Option<usize>> = vec![None; edges.len()];
    let mut queue = VecDeque::from([start]);
    while let Some(node) = queue.pop_front() {
        for to in edges[node].iter().copied().filter(|to| left[*to]) {
            if to == start {
                let back = std::iter::successors(Some(node), |node| came_from[*node]);
                let mut circle: Vec<usize> = back.collect();
                circle.reverse();
                return Some(circle);
            }
            if came_from[to].is_none() {
                came_from[to] = Some(node);
                queue.push_back(to);
            }
        }
    }
    None
}

fn reach(start: usize, edges: &[Vec<usize>], left: &[bool]) -> Vec<bool> {
    let mut seen = vec![false; edges.len()];
    seen[start] = true;
    let mut open = vec![start];
    while let Some(node) = open.pop() {
        for to in edges[node].iter().copied().filter(|to| left[*to]) {
            if !std::mem::replace(&mut seen[to], true) {
                open.push(to);
            }
        }
    }
    seen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn graph_without_cycles_is_sorted() {
        assert_eq!(order(&[vec![1, 2], vec![2], vec![]]), Ok(vec![2, 1, 0]));
        assert_eq!(order(&[]), Ok(vec![]));
        assert_eq!(order(&[vec![1, 1], vec![]]), Ok(vec![1, 0]));
    }

    #[test]
    fn each_strongly_connected_component_gives_one_cycle() {
        // 0 → 1 → 2 → 0 and 3 → 0; 4 → 4; 5 → 6 → 5 with a longer path 6 → 7 → 5.
        let edges = [vec![1], vec![2], vec![0], vec![0], vec![4], vec![6], vec![5, 7], vec![5]];
        assert_eq!(order(&edges), Err(vec![vec![0, 1, 2], vec![4], vec![5, 6]]));
    }
}
