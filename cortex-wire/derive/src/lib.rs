//! `#[derive(Message)]` for `cortex-wire`, which re-exports and documents it.

use proc_macro::TokenStream;
use proc_macro_crate::{FoundCrate, crate_name};
use proc_macro2::{Span, TokenStream as Tokens};
use quote::{format_ident, quote, quote_spanned};
use syn::ext::IdentExt;
use syn::meta::ParseNestedMeta;
use syn::spanned::Spanned;
use syn::{
    Attribute, Data, DeriveInput, Error, Expr, Field, Fields, GenericParam, Lifetime, LitStr, Path,
    Result, Token, Type, parse_macro_input, parse_quote,
};

/// Implements `Message` for a struct with named fields.
///
/// The struct may have one lifetime, for which it borrows. On the struct:
///
/// - `class = "package.module.Class"`, required: the full name of the class in Python.
/// - `fingerprint = 0x..`: the fingerprint to publish instead of that computed from the name; for
///   Python classes that inherit from another message.
/// - `accept = [0x.., ..]`: further fingerprints to accept when receiving.
/// - `accept_schema`: accept the schema fingerprint too, which Python peers send if the class has
///   `slots=True`. The types are spelled as by `Type::python_name`; for a class that spells them
///   differently, use `accept = [fingerprint::schema(..)]`.
/// - `after_decode = path`: a function of `&mut Self` that runs after decoding.
/// - `crate = "path"`: the path of `cortex_wire`, if it is not a direct dependency.
///
/// On a field:
///
/// - `default` or `default = value`: its value if the message ends before it. Later fields need a
///   default too.
#[proc_macro_derive(Message, attributes(cortex))]
pub fn derive_message(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input).unwrap_or_else(Error::into_compile_error).into()
}

fn expand(input: &DeriveInput) -> Result<Tokens> {
    let options = Options::parse(input)?;
    let fields = message_fields(input)?;
    let lifetime = borrowed_lifetime(input)?;

    let name = &input.ident;
    let krate = &options.krate;
    let class = &options.class;
    let fingerprint = options.fingerprint.iter();
    let accept = accepted(&options, &fields)?;
    let (impl_generics, ty_generics, where_clause) = input.generics.split_for_impl();
    let view = view_type(input, lifetime.as_ref());

    let infos = fields.iter().map(|field| {
        let ty = &field.ty;
        let text = &field.text;
        quote_spanned! {ty.span()=>
            #krate::FieldInfo {
                name: #text,
                ty: <#ty as #krate::Field>::TYPE,
                optional: <#ty as #krate::Field>::OPTIONAL,
            }
        }
    });
    let types = fields.iter().map(|field| &field.ty);
    let count = fields.len();
    let encodes = fields.iter().map(|field| {
        let ident = field.ident;
        quote_spanned! {field.ty.span()=>
            #krate::Encode::encode(&self.#ident, out)?;
        }
    });
    let required = fields.iter().take_while(|field| field.default.is_none()).count();
    let decodes = fields.iter().map(|field| {
        let ident = field.ident;
        match &field.default {
            None => quote_spanned! {field.ty.span()=> #ident: fields.next()? },
            Some(default) => {
                // The span makes the compiler report a type error at the default.
                quote_spanned! {default.span()=> #ident: fields.next_or(|| #default)? }
            }
        }
    });
    let after_decode = match &options.after_decode {
        Some(path) => quote! { #path(&mut message); },
        None => quote! {},
    };

    Ok(quote! {
        #[automatically_derived]
        impl #impl_generics #krate::Message for #name #ty_generics #where_clause {
            const CLASS: &'static str = #class;
            const FIELDS: &'static [#krate::FieldInfo] = &[#(#infos),*];
            #(const FINGERPRINT: u64 = #fingerprint;)*
            #accept
            const MAX_METADATA_LEN: ::core::option::Option<usize> =
                #krate::max_fields_len(&[#(<#types as #krate::Field>::MAX_LEN),*]);
            type View<'cortex> = #view;

            #[inline]
            fn encode_fields<'cortex>(
                &'cortex self,
                out: &mut #krate::Encoder<'_, 'cortex>,
            ) -> ::core::result::Result<(), #krate::EncodeError> {
                out.nested(|out| {
                    out.writer().write_list(#count)?;
                    #(#encodes)*
                    ::core::result::Result::Ok(())
                })
            }

            #[allow(unused_mut, unused_variables, reason = "a message may have no fields")]
            #[inline]
            fn decode_fields<'cortex>(
                input: &mut #krate::Decoder<'cortex>,
            ) -> ::core::result::Result<Self::View<'cortex>, #krate::DecodeError> {
                let mut fields = input.fields(#required, #count)?;
                let mut message = #name { #(#decodes),* };
                #after_decode
                ::core::result::Result::Ok(message)
            }
        }
    })
}

/// The constant with the further fingerprints that the type accepts.
fn accepted(options: &Options, fields: &[MessageField<'_>]) -> Result<Tokens> {
    let krate = &options.krate;
    let schema = options.accept_schema.map(|()| {
        let pairs = fields.iter().map(|field| {
            let ty = field.ty;
            let text = &field.text;
            quote_spanned! {ty.span()=>
                (
                    #text,
                    <#ty as #krate::Field>::TYPE.python_name(<#ty as #krate::Field>::OPTIONAL),
                )
            }
        });
        quote! { #krate::fingerprint::schema(Self::CLASS, &[#(#pairs),*]) }
    });
    let tokens = match (&options.accept, schema) {
        (None, None) => quote! {},
        (Some(accept), None) => quote! { const ACCEPT: &'static [u64] = &#accept; },
        (None, Some(schema)) => quote! { const ACCEPT: &'static [u64] = &[#schema]; },
        (Some(Expr::Array(accept)), Some(schema)) => {
            let others = accept.elems.iter();
            quote! { const ACCEPT: &'static [u64] = &[#schema #(, #others)*]; }
        }
        (Some(accept), Some(_)) => {
            return Err(Error::new_spanned(
                accept,
                "beside `accept_schema`, `accept` must be a list in brackets",
            ));
        }
    };
    Ok(tokens)
}

/// The attributes `#[cortex(..)]` of the struct.
struct Options {
    class: LitStr,
    fingerprint: Option<Expr>,
    accept: Option<Expr>,
    accept_schema: Option<()>,
    after_decode: Option<Path>,
    krate: Path,
}

impl Options {
    fn parse(input: &DeriveInput) -> Result<Self> {
        let mut class: Option<LitStr> = None;
        let mut fingerprint = None;
        let mut accept = None;
        let mut accept_schema = None;
        let mut after_decode = None;
        let mut krate = None;
        for attribute in cortex_attributes(&input.attrs) {
            attribute.parse_nested_meta(|meta| {
                let target = meta.path.get_ident().map(ToString::to_string).unwrap_or_default();
                match target.as_str() {
                    "class" => set_once(&mut class, &meta, meta.value()?.parse()?)?,
                    "fingerprint" => set_once(&mut fingerprint, &meta, meta.value()?.parse()?)?,
                    "accept" => set_once(&mut accept, &meta, meta.value()?.parse()?)?,
                    "accept_schema" => set_once(&mut accept_schema, &meta, ())?,
                    "after_decode" => set_once(&mut after_decode, &meta, meta.value()?.parse()?)?,
                    "crate" => {
                        set_once(&mut krate, &meta, meta.value()?.parse::<LitStr>()?.parse()?)?;
                    }
                    _ => {
                        return Err(meta.error(
                            "expected `class`, `fingerprint`, `accept`, `accept_schema`, \
                             `after_decode` or `crate`",
                        ));
                    }
                }
                Ok(())
            })?;
        }
        let class = class.ok_or_else(|| {
            Error::new_spanned(
                &input.ident,
                "a message needs the full name of its Python class: \
                 `#[cortex(class = \"package.module.Class\")]`",
            )
        })?;
        check_class(&class)?;
        let krate = match krate {
            Some(path) => path,
            None => find_crate()?,
        };
        Ok(Self { class, fingerprint, accept, accept_schema, after_decode, krate })
    }
}

/// Stores the value of an attribute that may be given once.
fn set_once<T>(place: &mut Option<T>, meta: &ParseNestedMeta<'_>, value: T) -> Result<()> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(meta.error("duplicate attribute")),
    }
}

fn cortex_attributes(attributes: &[Attribute]) -> impl Iterator<Item = &Attribute> {
    attributes.iter().filter(|attribute| attribute.path().is_ident("cortex"))
}

fn check_class(class: &LitStr) -> Result<()> {
    let name = class.value();
    let is_path = name.split('.').count() > 1 && name.split('.').all(|part| !part.is_empty());
    let is_clean = !name.contains(|c: char| c.is_whitespace() || c == '|' || c.is_control());
    if is_path && is_clean {
        return Ok(());
    }
    Err(Error::new_spanned(
        class,
        "expected a module and a class, as in \"package.module.Class\"; \
         a class of a script that is run directly is \"__main__.Class\"",
    ))
}

fn find_crate() -> Result<Path> {
    // Both crates have `extern crate self`, so the path is valid inside them too.
    if let Ok(found) = crate_name("cortex-wire") {
        let name = ident_of(found, "cortex_wire");
        return Ok(parse_quote!(::#name));
    }
    if let Ok(found) = crate_name("cortex-std") {
        let name = ident_of(found, "cortex_std");
        return Ok(parse_quote!(::#name::wire));
    }
    Err(Error::new(
        Span::call_site(),
        "neither `cortex-wire` nor `cortex-std` is a dependency of this crate; \
         name the path to `cortex_wire` by `#[cortex(crate = \"..\")]`",
    ))
}

fn ident_of(found: FoundCrate, itself: &str) -> syn::Ident {
    match found {
        FoundCrate::Itself => format_ident!("{itself}"),
        FoundCrate::Name(name) => format_ident!("{name}"),
    }
}

/// One field of the message.
struct MessageField<'i> {
    ident: &'i syn::Ident,
    ty: &'i Type,
    /// The name in Python.
    text: String,
    default: Option<Expr>,
}

fn message_fields(input: &DeriveInput) -> Result<Vec<MessageField<'_>>> {
    let Data::Struct(data) = &input.data else {
        return Err(Error::new_spanned(
            &input.ident,
            "a message must be a struct: the wire format has a fixed list of fields",
        ));
    };
    let named = match &data.fields {
        Fields::Named(named) => named.named.iter().collect(),
        Fields::Unit => Vec::new(),
        Fields::Unnamed(unnamed) => {
            return Err(Error::new_spanned(
                unnamed,
                "a message needs named fields: Python finds them by name",
            ));
        }
    };
    let fields: Vec<_> = named.into_iter().map(message_field).collect::<Result<_>>()?;
    let mut defaulted = false;
    for field in &fields {
        if defaulted && field.default.is_none() {
            return Err(Error::new_spanned(
                field.ident,
                "a field after one with a default needs a default: \
                 only fields at the end of a message can be missing",
            ));
        }
        defaulted = field.default.is_some();
    }
    Ok(fields)
}

fn message_field(field: &Field) -> Result<MessageField<'_>> {
    let ident = field
        .ident
        .as_ref()
        .ok_or_else(|| Error::new_spanned(field, "a message needs named fields"))?;
    check_type(&field.ty)?;
    let mut default = None;
    for attribute in cortex_attributes(&field.attrs) {
        attribute.parse_nested_meta(|meta| {
            if !meta.path.is_ident("default") {
                return Err(meta.error("expected `default` or `default = value`"));
            }
            let value = if meta.input.peek(Token![=]) {
                meta.value()?.parse()?
            } else {
                parse_quote!(::core::default::Default::default())
            };
            set_once(&mut default, &meta, value)
        })?;
    }
    Ok(MessageField { ident, ty: &field.ty, text: ident.unraw().to_string(), default })
}

/// Rejects types that cannot be sent, for which the compiler's error would only name traits.
fn check_type(ty: &Type) -> Result<()> {
    let reason = match ty {
        Type::Reference(reference) if reference.mutability.is_some() => {
            "a `&mut` reference cannot be a field of a message: borrow with `&` or own the value"
        }
        Type::Reference(reference) => match &*reference.elem {
            Type::Slice(slice) if !is_u8(&slice.elem) => {
                "a slice of items cannot be borrowed from the frames: use `ArrayView`, \
                 `TypedArray`, `[T; N]` or a vector"
            }
            _ => return Ok(()),
        },
        Type::Ptr(_) => "a pointer cannot be a field of a message",
        Type::FnPtr(_) => "a function cannot be a field of a message",
        Type::Tuple(_) => {
            "a tuple cannot be a field of a message: use a field for each item, or `[T; N]`"
        }
        Type::Array(array) => return check_type(&array.elem),
        _ => return Ok(()),
    };
    Err(Error::new_spanned(ty, reason))
}

fn is_u8(ty: &Type) -> bool {
    matches!(ty, Type::Path(path) if path.path.is_ident("u8"))
}

/// The lifetime for which the struct borrows.
fn borrowed_lifetime(input: &DeriveInput) -> Result<Option<Lifetime>> {
    let mut lifetime = None;
    for param in &input.generics.params {
        match param {
            GenericParam::Lifetime(param) if lifetime.is_none() => {
                lifetime = Some(param.lifetime.clone());
            }
            GenericParam::Lifetime(param) => {
                return Err(Error::new_spanned(
                    param,
                    "a message borrows from its frames only: use one lifetime for all fields",
                ));
            }
            GenericParam::Const(_) => {}
            GenericParam::Type(param) => {
                return Err(Error::new_spanned(
                    param,
                    "a message cannot have type parameters: derive it for a concrete struct",
                ));
            }
        }
    }
    Ok(lifetime)
}

/// The struct with its lifetime replaced by `'cortex`.
fn view_type(input: &DeriveInput, lifetime: Option<&Lifetime>) -> Tokens {
    let name = &input.ident;
    let arguments = input.generics.params.iter().filter_map(|param| match param {
        GenericParam::Lifetime(_) => lifetime.map(|_| quote!('cortex)),
        GenericParam::Const(param) => {
            let ident = &param.ident;
            Some(quote!(#ident))
        }
        GenericParam::Type(_) => None,
    });
    if input.generics.params.is_empty() { quote!(#name) } else { quote!(#name<#(#arguments),*>) }
}
