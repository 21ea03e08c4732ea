"""Words that stand around the name of what is given in a trial and say nothing of what it is."""

from __future__ import annotations

AROUND = frozenset(
    word
    for line in (
        # forms
        "aerosol ampoule ampoules autoinjector bottle caplet caplets capsule capsules cream creams",
        "drops elixir emulsion film foam formulation formulations gel granules infused infusion",
        "infusions inhaler injectable injection injections kit lotion lozenge lozenges ointment pad",
        "patch patches pen pill pills powder product products solution solutions spray suppositories",
        "suppository suspension suspensions syringe syringes syrup tab tablet tablets vaccine vaccines",
        "vial vials",
        # doses and measures
        "bolus cap dosage dosages dose doses fixed full g gram grams high higher iu kg l loading low",
        "lower maintenance mcg medium mg mid ml multiple ng percent repeat repeated single titrated ug",
        "unit units µg μg",
        # schedules
        "bid cycle cycles daily day days every h hour hours hr month monthly months once per q qd qid",
        "qw thrice tid times twice week weekly weeks year yearly",
        # routes and places
        "articular buccal caudal cervical ear epidural eye im inhalation inhaled intra intraarticular",
        "intracameral intradermal intradiscal intralesional intramuscular intranasal intraperitoneal",
        "intrathecal intratumoral intravenous intravenously intravesical intravitreal iv lumbar nasal",
        "nebulised nebulized ophthalmic oral orally otic parenteral peridural perineural po rectal sc",
        "subcutaneous subcutaneously sublingual topical transdermal transforaminal vaginal",
        # how it is made, and how it acts
        "acting biosimilar coated compound controlled cr delayed depot er extended genetical human",
        "immediate ir la liposomal long modified mr pegylated prefilled premixed preservative prolonged",
        "pure recombinant recombination release short sr sustained xl xr",
        # salts
        "acetate besylate bromide chloride citrate dihydrate disodium fumarate hydrobromide",
        "hydrochloride maleate mesylate monohydrate phosphate potassium salt sodium succinate sulfate",
        "sulphate tartrate tosylate",
        # how it is given
        "administered administration alone and arm blind blinded by co coadministration cohort",
        "combination combined course double drug drugs first followed given group in investigational",
        "label line masked monotherapy of only open part phase plus regimen second stage study the then",
        "therapy to treatment treatments unblinded using via with",
    )
    for word in line.split()
)
