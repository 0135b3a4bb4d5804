/// The look of ``ReportPage``: on a screen of any width from 320 px on, and on A4 paper.
let reportStyle: Markup = """

    @page { size: A4; margin: 14mm; }
    * { box-sizing: border-box; }
    body { font: 10pt/1.4 "Helvetica Neue", Arial, "DejaVu Sans", sans-serif; color: #1a1a1a; background: #fff;
      max-width: 200mm; margin: 6mm auto; padding: 0 4mm; overflow-wrap: anywhere; }
    h1 { font-size: 17pt; margin: 0; } h2 { font-size: 11.5pt; margin: 5mm 0 1.5mm; border-bottom: 0.3mm solid #bbb; }
    p { margin: 1mm 0; } header p { color: #444; } header p.purpose { color: #8a1c00; font-weight: bold; }
    .review, .plain { padding: 2mm 3mm; border-left: 1.5mm solid #2e7d32; background: #eef6ee; }
    .review { border-color: #c77700; background: #fff5e0; font-weight: bold; }
    .findings { margin: 1.5mm 0; padding-left: 5mm; } .findings code { color: #595959; font-size: 8pt; }
    .error strong { color: #b00020; } .warning strong { color: #8a4b00; }
    .tiles { display: grid; grid-template-columns: repeat(4, 1fr); gap: 3mm; margin-bottom: 2mm; }
    .tiles div { border: 0.3mm solid #ccc; padding: 2mm 3mm; }
    .tiles span { display: block; color: #555; font-size: 8.5pt; } .tiles strong { font-size: 14pt; }
    .slices { display: grid; grid-template-columns: repeat(3, 1fr); gap: 2mm; margin-bottom: 1.5mm; }
    figure { margin: 0; break-inside: avoid; } img { width: 100%; display: block; background: #000; }
    figcaption { font-size: 8.5pt; color: #444; text-align: center; }
    .liver, .lesion, .reference { border-bottom: 0.8mm solid #009e73; font-weight: bold; }
    .lesion { border-color: #e69f00; } .reference { border-color: #56b4e9; border-bottom-style: dashed; }
    .wide { overflow-x: auto; }
    table { border-collapse: collapse; width: 100%; font-size: 8.5pt; font-variant-numeric: tabular-nums; }
    th, td { border-bottom: 0.2mm solid #ddd; padding: 0.8mm 1.2mm; text-align: right; vertical-align: top; }
    thead th { border-bottom: 0.4mm solid #888; overflow-wrap: normal; } tr, .made { break-inside: avoid; }
    tbody td { white-space: nowrap; }
    th:first-child, td:first-child, .facts td { text-align: left; }
    .facts th { font-weight: normal; color: #555; width: 42mm; } .facts td { white-space: normal; }
    h2 { break-after: avoid; }
    @media screen and (max-width: 600px) {
      .tiles, .slices { grid-template-columns: repeat(2, 1fr); } .facts th { width: 32mm; }
    }
    @media print { body { margin: 0; max-width: none; padding: 0 0.5mm; }
      .wide { overflow: visible; } tbody td { white-space: normal; } table { font-size: 8pt; } th, td { padding: 0.8mm; }
      .review, .plain, img, .liver, .lesion, .reference { -webkit-print-color-adjust: exact; print-color-adjust: exact; } }

    """
