//! Where the value of each node is to be found: which are recomputed where they are read, which get memory.

use crate::{
    Fusion, Options, Unsupported,
    attention::{self, Attention},
    emit::fits,
    group::Groups,
};
use graph::{Function, Node, NodeId, Op, Type};
use kernel::{Binary, Form, Unary};
use shape::Dim;
use std::collections::BTreeSet;

/// What becomes of a node.
#[derive(Clone, PartialEq, Debug)]
pub enum Place {
    /// No result needs it.
    Dead,
    /// An argument of the entry.
    Argument(usize),
    /// Literal data of more than one element.
    Data,
    /// Another shape of an operand's memory or of its expression.
    View,
    /// Computed wherever it is read.
    Inline,
    /// Computed once, by a group.
    Computed,
}

/// Nodes of one part may be computed by one kernel.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Part {
    /// All of the function.
    Whole,
    /// What came from one call of an operation.
    Operation(u32),
    Node(NodeId),
}

/// The function with everything that grouping and composing ask of it.
pub struct Analysis<'a> {
    pub function: &'a Function,
    pub options: &'a Options<'a>,
    pub forms: Vec<Option<Form>>,
    pub places: Vec<Place>,
    pub parts: Vec<Part>,
    /// Readers of each node, one entry an operand position.
    pub users: Vec<Vec<(NodeId, usize)>>,
    /// Those that one kernel computes.
    pub attentions: Vec<Attention>,
}

/// Extra work, in rough operations an element, above which a value is kept rather than computed again.
const RECOMPUTE_LIMIT: f64 = 24.0;
/// Longest expression of one kernel, in operations.
const EXPRESSION_LIMIT: f64 = 300.0;
/// What stands for a factor that depends on dynamic dimensions.
const DYNAMIC_FACTOR: f64 = 64.0;

impl<'a> Analysis<'a> {
    pub fn new(function: &'a Function, options: &'a Options<'a>) -> Result<Analysis<'a>, Unsupported> {
        let mut live = vec![false; function.nodes.len()];
        for (_, _, result) in &function.results {
            live[result.index()] = true;
        }
        for (id, node) in function.nodes.iter().rev() {
            if live[id.index()] {
                node.inputs.iter().for_each(|input| live[input.index()] = true);
            }
        }
        let mut users = vec![Vec::new(); function.nodes.len()];
        let mut forms = Vec::new();
        for (id, node) in function.nodes.iter() {
            let has_form = live[id.index()] && !is_control(node) && !matches!(node.op, Op::Get(_));
            forms.push(has_form.then(|| node.op.form(&types(function, node), node.ty())).flatten());
            if live[id.index()] {
                for (position, input) in node.inputs.iter().enumerate() {
                    users[input.index()].push((id, position));
                }
            }
        }
        let places = vec![Place::Dead; function.nodes.len()];
        let parts = function.nodes.iter().map(|(id, node)| part(id, node, options.fusion)).collect();
        let mut analysis =
            Analysis { function, options, forms, places, parts, users, attentions: Vec::new() };
        analysis.decide(&live)?;
        for attention in attention::find(&analysis) {
            analysis.fuse(attention);
        }
        Ok(analysis)
    }

    /// Leaves what stands between the contractions without memory, if one kernel can compute all of it.
    fn fuse(&mut self, mut attention: Attention) {
        let before = self.places.clone();
        attention.moved = attention.transposition(self);
        if let Some(moved) = attention.moved {
            self.places[moved.index()] = Place::Computed;
        }
        let tests = attention.cheap_tests(self);
        for id in attention.between.iter().chain(&tests) {
            if self.forms[id.index()] == Some(Form::Map) {
                self.places[id.index()] = Place::Inline;
            }
        }
        let elsewhere = |place: &Place| matches!(place, Place::Computed).then_some(1);
        let mut group_of: Vec<Option<usize>> = self.places.iter().map(elsewhere).collect();
        attention.heroes().iter().for_each(|hero| group_of[hero.index()] = Some(0));
        let groups = Groups { groups: Vec::new(), group_of, stored: Vec::new() };
        match fits(self, &groups, &attention) {
            true => self.attentions.push(attention),
            false => self.places = before,
        }
    }

    pub fn node(&self, id: NodeId) -> &'a Node {
        &self.function.nodes[id]
    }

    pub fn ty(&self, id: NodeId) -> &'a Type {
        self.function.ty(id)
    }

    pub fn dtype(&self, id: NodeId) -> kernel::DType {
        self.ty(id).dtype.concrete(self.options.float)
    }

    pub fn place(&self, id: NodeId) -> &Place {
        &self.places[id.index()]
    }

    pub fn form(&self, id: NodeId) -> Option<&Form> {
        self.forms[id.index()].as_ref()
    }

    /// The node whose memory this one shares: itself, unless it is a view.
    pub fn base(&self, id: NodeId) -> NodeId {
        let mut id = id;
        while *self.place(id) == Place::View {
            id = self.node(id).inputs[0];
        }
        id
    }

    /// Whether one element of each operand makes one of the result, at the same index.
    pub fn is_elementwise(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).op,
            Op::Unary(_) | Op::Binary(_) | Op::Select(_) | Op::Cast(_) | Op::StopGradient(_) | Op::Barrier(_)
        )
    }

    /// Nodes that no framework runs as an operation, so that fusion by operations computes them wherever they are read:
    /// they only say where their operand's elements are, or what windows find beside them, or they are one number that
    /// follows from numbers of the text and sizes.
    fn strided(&self) -> Vec<bool> {
        let mut strided = vec![false; self.function.nodes.len()];
        if self.options.fusion != Fusion::Operations {
            return strided;
        }
        let mut number = strided.clone();
        for (id, node) in self.function.nodes.iter() {
            let in_windows = |(user, _): &(NodeId, usize)| matches!(self.node(*user).op, Op::Window(_));
            let index = id.index();
            number[index] = match &node.op {
                Op::Constant(constant) => constant.bits.len() == 1,
                Op::Size(_) => true,
                Op::Broadcast(_) | Op::Reshape(_) => number[node.inputs[0].index()],
                _ => self.is_elementwise(id) && node.inputs.iter().all(|input| number[input.index()]),
            };
            strided[index] = number[index]
                || self.is_access(id)
                || matches!(node.op, Op::Pad(_)) && self.users[index].iter().all(in_windows);
        }
        strided
    }

    fn decide(&mut self, live: &[bool]) -> Result<(), Unsupported> {
        let (upstream, strided) = (self.upstream_costs(), self.strided());
        let controls: Vec<&Node> =
            self.function.nodes.iter().filter(|(id, _)| live[id.index()]).map(|(_, node)| node).collect();
        let controls = controls.into_iter().filter(|node| is_control(node));
        let passed: BTreeSet<NodeId> =
            controls.flat_map(|node| &node.inputs).map(|input| self.unviewed(*input)).collect();
        // What must stand in memory as it is: results, and what bodies of control flow are given.
        let mut whole = passed.clone();
        whole.extend(self.function.results.iter().map(|(_, _, node)| self.unviewed(*node)));
        let mut evaluations = vec![0f64; self.function.nodes.len()];
        let mut forced = vec![false; self.function.nodes.len()];
        let mut readers: Vec<BTreeSet<Part>> = vec![BTreeSet::new(); self.function.nodes.len()];
        let mut apart = vec![false; self.function.nodes.len()];
        for (id, node) in self.function.nodes.iter().rev() {
            let index = id.index();
            if !live[index] {
                continue;
            }
            let (mut total, mut force) = (0.0, false);
            for (user, position) in &self.users[index] {
                let contract = matches!(self.forms[user.index()], Some(Form::Contract { .. }));
                let passed_on = forced[user.index()] && self.is_access(*user);
                force |= contract || passed_on;
                let runs = match self.places[user.index()] {
                    Place::Inline | Place::View => evaluations[user.index()],
                    _ => 1.0,
                };
                total += runs * self.factor(*user, *position);
                let through = matches!(self.places[user.index()], Place::Inline | Place::View);
                let user_is_strided = strided[user.index()];
                if user_is_strided {
                    let beyond = readers[user.index()].clone();
                    readers[index].extend(beyond);
                }
                if !(user_is_strided && through) {
                    readers[index].insert(self.parts[user.index()]);
                }
            }
            let own = self.parts[index];
            // What is read inside of an operation is none of its results: the operation that is its derivative may work it
            // out again.
            let inside = readers[index].contains(&own)
                && readers[index].iter().all(|part| matches!(part, Part::Operation(_)));
            apart[index] = !strided[index] && !inside && readers[index].iter().any(|part| *part != own);
            // A product that divided and took remainders for each factor would take many times as long as a copy. Of numbers
            // that are known it walks the digits instead.
            apart[index] |= self.users[index].iter().any(|(user, _)| {
                forced[user.index()] && self.is_access(*user) && self.joins_moved_axes(id, *user)
            });
            evaluations[index] = total;
            forced[index] = force;
            self.places[index] = match (&node.op, &self.forms[index]) {
                (Op::Parameter(parameter), _) => Place::Argument(parameter.index),
                (Op::Constant(constant), _) if constant.bits.len() != 1 || passed.contains(&id) => {
                    Place::Data
                }
                (Op::Scan(_) | Op::Cond(_) | Op::While(_), _) => Place::Computed,
                (Op::Get(_), _) if is_control(&self.function.nodes[node.inputs[0]]) => Place::Computed,
                (Op::Call(_) | Op::Get(_), _) | (_, None) => {
                    let message = format!("`{}` must be gone before lowering", node.op.name());
                    return Err(Unsupported::new(message, node.span));
                }
                (_, Some(Form::Alias)) => Place::View,
                (Op::StopGradient(_), _) => Place::View,
                (_, Some(Form::Map)) if whole.contains(&id) => Place::Computed,
                (Op::Constant(_) | Op::Size(_), _) => Place::Inline,
                (_, Some(Form::Map)) => {
                    let again = (total - 1.0).max(0.0) * upstream[index];
                    let kept = (force && !self.is_access(id))
                        || again > RECOMPUTE_LIMIT
                        || upstream[index] > EXPRESSION_LIMIT
                        || apart[index];
                    if kept { Place::Computed } else { Place::Inline }
                }
                (_, Some(_)) => Place::Computed,
            };
        }
        self.reconsider(&whole, &evaluations, &forced, &apart);
        Ok(())
    }

    /// Gives up memory that was reserved by the cost of all that is upstream, where what is kept further up has made the
    /// value cheap.
    fn reconsider(&mut self, whole: &BTreeSet<NodeId>, evaluations: &[f64], forced: &[bool], apart: &[bool]) {
        let mut costs = vec![0f64; self.function.nodes.len()];
        for (id, node) in self.function.nodes.iter() {
            let index = id.index();
            let own = operation_cost(&node.op);
            let cost = own + node.inputs.iter().map(|input| costs[input.index()]).sum::<f64>();
            let map = self.places[index] == Place::Computed && self.forms[index] == Some(Form::Map);
            let kept = whole.contains(&id) || apart[index] || forced[index] && !self.is_access(id);
            if map
                && !kept
                && (evaluations[index] - 1.0).max(0.0) * cost <= RECOMPUTE_LIMIT
                && cost <= EXPRESSION_LIMIT
            {
                self.places[index] = Place::Inline;
            }
            costs[index] = if matches!(self.places[index], Place::Inline | Place::View) { cost } else { 0.0 };
        }
    }

    /// Through reshapes, before places are decided.
    fn unviewed(&self, id: NodeId) -> NodeId {
        let mut id = id;
        while matches!(self.node(id).op, Op::StopGradient(_)) || self.forms[id.index()] == Some(Form::Alias) {
            id = self.node(id).inputs[0];
        }
        id
    }

    /// Only says where an operand's element is: no arithmetic, no test.
    fn is_access(&self, id: NodeId) -> bool {
        matches!(
            self.node(id).op,
            Op::Transpose(_)
                | Op::Broadcast(_)
                | Op::Slice(_)
                | Op::Reshape(_)
                | Op::StopGradient(_)
                | Op::Barrier(_)
                | Op::Window(_)
        )
    }

    /// Whether a node moves axes and its reader then makes one of some that are no neighbours in memory, of a size that is
    /// not known: where an element is does not follow from its index by steps then.
    fn joins_moved_axes(&self, id: NodeId, reader: NodeId) -> bool {
        let (Op::Transpose(moved), Op::Reshape(_)) = (&self.node(id).op, &self.node(reader).op) else {
            return false;
        };
        let wide = |extent: &&Dim| !extent.is_const(1);
        let source = &self.ty(self.node(id).inputs[0]).shape;
        let axes: Vec<(&Dim, usize)> = moved
            .perm
            .iter()
            .filter(|axis| wide(&&source[**axis]))
            .map(|axis| (&source[*axis], source[..*axis].iter().filter(wide).count()))
            .collect();
        let mut left = axes.as_slice();
        let mut joined: Vec<&Dim> = self.ty(reader).shape.iter().filter(wide).collect();
        joined.reverse();
        while let Some(extent) = joined.pop() {
            let together = |count: &usize| {
                left[..*count].iter().map(|(extent, _)| (*extent).clone()).product::<Dim>() == *extent
            };
            if let Some(count) = (1..=left.len()).find(together) {
                let moved = left[..count].windows(2).any(|pair| pair[1].1 != pair[0].1 + 1);
                let dynamic = left[..count].iter().any(|(extent, _)| extent.as_const().is_none());
                if moved && dynamic {
                    return true;
                }
                left = &left[count..];
                continue;
            }
            // One axis taken apart, which steps can say.
            let Some(((whole, _), rest)) = left.split_first() else { return true };
            let mut apart = extent.clone();
            while apart != **whole {
                let Some(next) = joined.pop() else { return true };
                apart = &apart * next;
            }
            left = rest;
        }
        false
    }

    /// Operations for one element, with those of producers that could be fused; a tree, so shared parts count each time.
    fn upstream_costs(&self) -> Vec<f64> {
        let mut costs: Vec<f64> = vec![0.0; self.function.nodes.len()];
        for (id, node) in self.function.nodes.iter() {
            let fusable = matches!(self.forms[id.index()], Some(Form::Map | Form::Alias));
            if fusable {
                let inputs: f64 = node.inputs.iter().map(|input| costs[input.index()]).sum();
                let above = if inputs > EXPRESSION_LIMIT { RECOMPUTE_LIMIT } else { inputs };
                costs[id.index()] = above + operation_cost(&node.op);
            }
        }
        costs
    }

    /// How often an element of the operand is read for one evaluation of all of the user's elements.
    fn factor(&self, user: NodeId, position: usize) -> f64 {
        let node = self.node(user);
        if is_control(node) || matches!(node.op, Op::Get(_)) {
            return 1.0;
        }
        let (result, operand) = (node.ty(), self.ty(node.inputs[position]));
        let ratio = || {
            let (many, few) = (result.shape.elements(), operand.shape.elements());
            let ratio = many.exact_div(&few, &self.function.facts).and_then(|ratio| ratio.as_const());
            ratio.map_or(DYNAMIC_FACTOR, |ratio| ratio as f64)
        };
        match &node.op {
            Op::Broadcast(_) | Op::Gather(_) => ratio(),
            Op::Contract(_) if self.forms[user.index()] == Some(Form::Map) => ratio(),
            Op::Window(window) => window
                .size
                .iter()
                .zip(&window.stride)
                .map(|(size, stride)| *size as f64 / *stride as f64)
                .product(),
            Op::Fold(fold) => fold
                .size
                .iter()
                .zip(&fold.stride)
                .map(|(size, stride)| (size + stride - 1) / stride)
                .product::<i64>() as f64,
            Op::ScatterAdd(_) if position > 0 && self.forms[user.index()] == Some(Form::Map) => ratio(),
            Op::ScatterAdd(_) if position == 1 => DYNAMIC_FACTOR,
            _ => 1.0,
        }
    }
}

fn part(id: NodeId, node: &Node, fusion: Fusion) -> Part {
    let operation = node.scope.as_ref().and_then(|scope| scope.operation);
    match (fusion, operation) {
        (Fusion::Groups, _) => Part::Whole,
        (Fusion::Operations, Some(operation)) => Part::Operation(operation),
        _ => Part::Node(id),
    }
}

pub fn types<'f>(function: &'f Function, node: &Node) -> Vec<&'f Type> {
    node.inputs.iter().map(|input| function.ty(*input)).collect()
}

/// Whether it runs functions in steps of their own.
fn is_control(node: &Node) -> bool {
    matches!(node.op, Op::Scan(_) | Op::Cond(_) | Op::While(_))
}

/// Rough operations of one element of the operator itself.
pub fn operation_cost(op: &Op) -> f64 {
    match op {
        Op::Unary(unary) => match unary.op {
            Unary::Neg | Unary::Abs | Unary::Sign | Unary::Not => 1.0,
            Unary::Floor | Unary::Ceil | Unary::Round | Unary::IsNan | Unary::IsInf | Unary::IsFinite => 1.0,
            Unary::Sqrt => 4.0,
            _ => 15.0,
        },
        Op::Binary(binary) => match binary.op {
            Binary::Div => 4.0,
            Binary::Rem => 8.0,
            Binary::Pow | Binary::Atan2 => 40.0,
            _ => 1.0,
        },
        Op::Random(_) => 80.0,
        Op::Gather(_) | Op::ScatterAdd(_) => 4.0,
        Op::Pad(_) | Op::Concat(_) => 3.0,
        Op::Select(_) | Op::Cast(_) => 1.0,
        _ => 0.0,
    }
}
