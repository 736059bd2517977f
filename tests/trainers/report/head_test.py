from clel_tf.trainers.report import head as report_head


def interval(value):
    return {"value": value, "low": value - 0.1, "high": value + 0.1}


def test_what_was_evaluated():
    facts = report_head.facts(
        {
            "run": {"workdir": "runs/digits", "step": 2080},
            "data": {
                "spec": "digits",
                "train": 1437,
                "test": 0,
                "image_shape": [8, 8, 1],
                "levels": 17,
            },
            "samples": {
                "n": 1000,
                "seed": 0,
                "num_steps": 140,
                "rounds": 2,
                "final_steps": 30,
                "weights": "moving average",
                "start": "uniform noise",
            },
            "quality": {"reference": {"split": "train", "n": 1437}},
            "created": "2026-11-23T06:00:00+00:00",
        }
    )
    assert facts == [
        ("Run", "runs/digits, 2,080 steps of training"),
        ("Data", "digits, 1,437 train images, 8 × 8 × 1, 17 levels"),
        (
            "Samples",
            "1,000 from uniform noise, 140 steps each, 2 rounds, "
            "30 final steps, weights: moving average, seed 0",
        ),
        ("Compared with", "1,437 train images"),
        ("Written", "2026-11-23T06:00:00+00:00"),
    ]


def test_the_main_figures():
    detection = {
        spec: {"detection": {"a": {"auroc": interval(value)}, "b": {}}}
        for spec, value in (("noise", 0.9), ("blur", 0.7), ("mix", 0.8))
    }
    cards = report_head.cards(
        {
            "quality": {
                "extractors": {
                    "digits": {
                        "metrics": {"recall": 0.5, "precision": interval(0.6)},
                        "test_split": {"precision": interval(0.8)},
                    },
                    "pixels": {"metrics": {"coverage": 0.5}},
                }
            },
            "representation": {"encoder": {"knn": {"1": 0.75, "5": 0.5}}},
            "ood": {
                "scores": {"a": {}, "b": {}},
                "sets": detection,
                "calibration": {
                    "flagged": {"test": 0.04},
                    "false_alarm_rate": 0.05,
                },
            },
        }
    )
    assert [(c.label, *c.figure[:2], c.note) for c in cards] == [
        (
            "Precision",
            "0.600",
            "[0.500, 0.700]",
            "of digits; test split: 0.800",
        ),
        ("1-NN accuracy", "0.750", "", "of the encoder's latents"),
        ("AUROC, hardest set", "0.700", "[0.600, 0.800]", "of a; blur"),
        ("False alarms", "4.0%", "", "5.0% asked for"),
    ]


def test_nothing_was_measured():
    facts = report_head.facts({"run": {}, "data": {"spec": "digits"}})
    assert facts == [("Run", ""), ("Data", "digits")]
    assert report_head.cards({"run": {}, "data": {}}) == []
