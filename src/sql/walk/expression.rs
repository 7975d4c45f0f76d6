//! Expressions: columns, operators, types, row attributes.

use pg_query::protobuf::{AExpr, AIndirection, ColumnRef, Constraint, IndexElem, ParamRef, PartitionElem, TypeName};
use pg_query::{Node, NodeEnum, NodeRef};

use super::Walker;
use super::emit::action;
use super::names::{boxed, dotted, inner, may_be_builtin, range};
use crate::sql::{ActionName, Name, Object};

impl<'a> Walker<'a> {
    pub(super) fn column(&mut self, column: &'a ColumnRef) {
        self.column_ref(&column.fields);
    }

    pub(super) fn parameter(&mut self, parameter: &ParamRef) {
        let number = u32::try_from(parameter.number).unwrap_or(0);
        self.statement.parameters = self.statement.parameters.max(number);
        *self.parameters.entry(number).or_default() += 1;
    }

    pub(super) fn operator_expression(&mut self, expression: &'a AExpr) {
        self.operator(&expression.name);
        self.rest(NodeRef::AExpr(expression));
    }

    /// `OPERATOR(s.+)` runs the function behind it. Unqualified operators are the path's.
    pub(super) fn operator(&mut self, name: &[Node]) {
        if name.len() > 1 {
            self.user_code(dotted(name));
        }
    }

    /// A type written with a schema that is not pg_catalog: its input function, casts and checks run.
    pub(super) fn type_name(&mut self, type_name: &'a TypeName) {
        let name = dotted(&type_name.names);
        if name.schema.is_some() && !type_name.pct_type && !may_be_builtin(&name) {
            self.push(action(ActionName::Call, "type"), Object::Function { name, builtin: false });
        }
        self.rest(NodeRef::TypeName(type_name));
    }

    /// A call of something qualified that is not pg_catalog's.
    pub(super) fn user_code(&mut self, name: Name) {
        if !may_be_builtin(&name) {
            self.push(ActionName::Call, Object::Function { name, builtin: false });
        }
    }

    /// `(expression).y`: with a built-in that takes any row, a call that reads all of it.
    pub(super) fn indirection(&mut self, indirection: &'a AIndirection) {
        let attribute = indirection.indirection.iter().filter_map(inner).find_map(|node| match node {
            NodeEnum::String(s) if Self::takes_any_row(&s.sval) => Some(s.sval.as_str()),
            _ => None,
        });
        if let Some(attribute) = attribute {
            self.everything();
            self.attribute_call(attribute);
        }
        for node in indirection.indirection.iter().filter_map(inner) {
            if let NodeEnum::String(s) = node {
                self.attribute(&s.sval);
            }
        }
        // `(u).password_hash` with `u` a whole row: the column by name, too.
        if let Some(NodeEnum::ColumnRef(_)) = boxed(&indirection.arg) {
            self.columns_anywhere(&indirection.indirection);
        }
        self.rest(NodeRef::AIndirection(indirection));
    }

    /// The last part of `x.y`: a column, or a function of the row.
    pub(super) fn attribute(&mut self, name: &str) {
        if !self.statement.attributes.contains(name) {
            self.statement.attributes.insert(name.into());
        }
    }

    /// Attribute notation: `u.row_to_json`.
    pub(super) fn attribute_call(&mut self, name: &str) {
        self.statement.functions.insert(name.to_owned());
        self.push(ActionName::Call, Object::Function { name: Name::bare(name), builtin: true });
    }

    pub(super) fn index_element(&mut self, element: &'a IndexElem) {
        if !element.name.is_empty() {
            self.column_anywhere(&element.name);
        }
        if element.opclass.len() > 1 {
            self.user_code(dotted(&element.opclass));
        }
        self.rest(NodeRef::IndexElem(element));
    }

    pub(super) fn partition_element(&mut self, element: &'a PartitionElem) {
        if !element.name.is_empty() {
            self.column_anywhere(&element.name);
        }
        if element.opclass.len() > 1 {
            self.user_code(dotted(&element.opclass));
        }
        self.rest(NodeRef::PartitionElem(element));
    }

    /// A foreign key reads the table that it refers to; an exclusion constraint compares with its operators.
    pub(super) fn constraint(&mut self, constraint: &'a Constraint) {
        for exclusion in constraint.exclusions.iter().filter_map(inner) {
            // (column or expression, operator)
            if let NodeEnum::List(pair) = exclusion
                && let Some(NodeEnum::List(operator)) = pair.items.get(1).and_then(inner)
            {
                self.operator(&operator.items);
            }
        }
        self.columns_anywhere(&constraint.keys);
        self.columns_anywhere(&constraint.fk_attrs);
        if let Some(table) = &constraint.pktable {
            let slot = self.relation(ActionName::Select, range(table));
            for column in constraint.pk_attrs.iter().filter_map(super::names::string) {
                self.name_column(slot, column);
            }
        }
        self.rest(NodeRef::Constraint(constraint));
    }
}
