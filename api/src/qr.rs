//! Images that a telephone reads a text from.

use qrcode::QrCode;
use qrcode::render::svg;

use crate::error::ApiError;

/// The text as a QR code, an SVG of its own.
pub(crate) fn image(text: &str) -> Result<String, ApiError> {
    // Only a text of some two thousand letters has no image.
    let code =
        QrCode::new(text).map_err(|_| ApiError::Conflict("the text is too long for a QR code".to_owned()))?;
    Ok(code.render::<svg::Color<'_>>().min_dimensions(240, 240).build())
}

/// The same to stand within a page: without the declaration of a document of its own.
pub(crate) fn inline(text: &str) -> Result<String, ApiError> {
    let image = image(text)?;
    let start = image.find("<svg").unwrap_or_default();
    Ok(image[start..].to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_within_a_page_is_an_element() {
        let image = inline("hello").unwrap();
        assert!(image.starts_with("<svg") && image.ends_with("</svg>"), "{image}");
        assert!(inline(&"x".repeat(5_000)).is_err());
    }
}
