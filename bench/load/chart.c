#include "bench/load/chart.h"

#include <math.h>
#include <string.h>

/* The drawing's own units; the page scales it. */
#define WIDTH        1080.0
#define HEIGHT       310.0
#define LEFT         58.0
#define RIGHT        14.0
#define TOP          62.0 /* rows of stage names */
#define NAME_ROWS    3
#define BOTTOM       28.0
#define ROW_HEIGHT   16.0
#define CHAR_WIDTH   7.2
#define TIPS_MAX     1500 /* beyond that, strips would be thinner than a pixel */
#define TICKS_WANTED 5

struct scale {
    double low, high; /* of the values; for a logarithmic one, powers of ten */
    double seconds;
    bool logarithmic;
};

static double x_of(const struct scale *scale, double second) {
    return LEFT + (WIDTH - LEFT - RIGHT) * (second / scale->seconds);
}

static double y_of(const struct scale *scale, double value) {
    double share = (value - scale->low) / (scale->high - scale->low);
    if (scale->logarithmic)
        share = value <= scale->low ? 0 : log10(value / scale->low) / log10(scale->high / scale->low);
    share = share < 0 ? 0 : share > 1 ? 1 : share;
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * share;
}

/* 1, 2 or 5 times a power of ten: about so many steps to the whole. */
static double nice_step(double whole, int steps) {
    double rough = whole / steps, power = pow(10, floor(log10(rough > 0 ? rough : 1)));
    double ratio = rough / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
}

static struct scale scale_of(const struct sg_chart *chart) {
    double smallest = INFINITY, largest = 0;
    for (int app = 0; app < SG_APPS; app++) {
        for (size_t i = 0; i < chart->points; i++) {
            double value = chart->values[app][i];
            largest = value > largest ? value : largest;
            smallest = value > 0 && value < smallest ? value : smallest;
        }
    }
    struct scale scale = {0, largest > 0 ? largest : 1, chart->points > 1 ? (double)chart->points : 1,
                          chart->logarithmic};
    if (chart->logarithmic) {
        scale.low = pow(10, floor(log10(isinf(smallest) ? 1 : smallest)));
        scale.high = pow(10, ceil(log10(scale.high)));
        if (scale.high <= scale.low)
            scale.high = scale.low * 10;
    } else {
        double step = nice_step(scale.high, TICKS_WANTED);
        scale.high = ceil(scale.high / step) * step;
    }
    return scale;
}

static void write_number(FILE *out, double value) {
    if (value >= 1000)
        fprintf(out, "%g k", value / 1000);
    else
        fprintf(out, "%g", value);
}

static void write_tick(FILE *out, const struct scale *scale, double value) {
    double y = y_of(scale, value);
    fprintf(out, "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", LEFT, WIDTH - RIGHT, y, y);
    fprintf(out, "<text class=\"label end\" x=\"%.1f\" y=\"%.1f\">", LEFT - 8, y + 4);
    write_number(out, value);
    fputs("</text>\n", out);
}

static void write_grid(FILE *out, const struct scale *scale) {
    double step = nice_step(scale->high, TICKS_WANTED);
    int ticks = (int)lround(scale->logarithmic ? log10(scale->high / scale->low) : (scale->high - scale->low) / step);
    bool few_decades = scale->logarithmic && ticks <= 2;
    for (int i = 0; i <= ticks; i++) {
        double value = scale->logarithmic ? scale->low * pow(10, i) : scale->low + i * step;
        write_tick(out, scale, value);
        if (few_decades && i < ticks) {
            write_tick(out, scale, value * 2);
            write_tick(out, scale, value * 5);
        }
    }
    step = nice_step(scale->seconds, 10);
    for (int i = 0; i * step <= scale->seconds; i++)
        fprintf(out, "<text class=\"label middle\" x=\"%.1f\" y=\"%.1f\">%.0f s</text>\n", x_of(scale, i * step),
                HEIGHT - 8, i * step);
}

/* A name stands right of the line where its stage begins, or left of it where the drawing ends; in the first row that
 * is still free there. */
static void write_stage_name(FILE *out, const char *name, double from, double row_end[NAME_ROWS]) {
    double width = (double)strlen(name) * CHAR_WIDTH;
    bool to_left = from + 5 + width > WIDTH;
    double begin = to_left ? from - 5 - width : from + 5;
    int row = 0;
    while (row + 1 < NAME_ROWS && row_end[row] > begin)
        row++;
    row_end[row] = begin + width + 6;
    double y = 14 + row * ROW_HEIGHT;
    fprintf(out, "<line class=\"cut\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\"/>", from, from, y - 10,
            HEIGHT - BOTTOM);
    fprintf(out, "<text class=\"stage%s\" x=\"%.1f\" y=\"%.1f\">%s</text>\n", to_left ? " end" : "",
            to_left ? from - 5 : from + 5, y, name);
}

static void write_stages(FILE *out, const struct sg_chart *chart, const struct scale *scale) {
    double row_end[NAME_ROWS] = {0};
    for (size_t i = 0; i < chart->stages_len; i++) {
        const struct sg_stage *stage = &chart->stages[i];
        double from = x_of(scale, stage->began_s < scale->seconds ? stage->began_s : scale->seconds);
        double to = x_of(scale, stage->ended_s < scale->seconds ? stage->ended_s : scale->seconds);
        fprintf(out, "<rect class=\"band%zu\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"/>", i % 2, from, TOP,
                to > from ? to - from : 0, HEIGHT - TOP - BOTTOM);
        write_stage_name(out, stage->name, from, row_end);
    }
}

/* One path with a gap where nothing was measured. */
static void write_line(FILE *out, const struct sg_chart *chart, const struct scale *scale, enum sg_app app) {
    bool pen_down = false;
    fprintf(out, "<path class=\"line %s\" d=\"", sg_app_name(app));
    for (size_t i = 0; i < chart->points; i++) {
        double value = chart->values[app][i];
        if (value >= 0)
            fprintf(out, "%c%.1f %.1f", pen_down ? 'L' : 'M', x_of(scale, (double)i + 0.5), y_of(scale, value));
        pen_down = value >= 0;
    }
    fputs("\"/>\n", out);
}

static const char *stage_at(const struct sg_chart *chart, double second) {
    const char *name = "";
    for (size_t i = 0; i < chart->stages_len; i++)
        if (chart->stages[i].began_s <= second)
            name = chart->stages[i].name;
    return name;
}

static void write_tips(FILE *out, const struct sg_chart *chart, const struct scale *scale) {
    if (chart->points > TIPS_MAX)
        return;
    for (size_t i = 0; i < chart->points; i++) {
        double x = x_of(scale, (double)i);
        fprintf(out, "<rect class=\"tip\" x=\"%.2f\" y=\"%.1f\" width=\"%.2f\" height=\"%.1f\"><title>%zu s, %s", x,
                TOP, x_of(scale, (double)i + 1) - x, HEIGHT - TOP - BOTTOM, i, stage_at(chart, (double)i + 0.5));
        for (int app = 0; app < SG_APPS; app++)
            if (chart->values[app][i] >= 0)
                fprintf(out, "\n%s app: %.*f %s", sg_app_name(app), chart->logarithmic ? 2 : 0, chart->values[app][i],
                        chart->unit);
        fputs("</title></rect>\n", out);
    }
}

void sg_chart_write(FILE *out, const struct sg_chart *chart) {
    struct scale scale = scale_of(chart);
    fprintf(out,
            "<figure><figcaption><h2>%s <small>%s</small></h2><span class=\"key\"><i class=\"old\"></i>old app"
            "<i class=\"new\"></i>new app</span></figcaption>\n"
            "<svg viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"%s\">\n",
            chart->title, chart->unit, WIDTH, HEIGHT, chart->title);
    write_stages(out, chart, &scale);
    write_grid(out, &scale);
    write_line(out, chart, &scale, SG_APP_OLD);
    write_line(out, chart, &scale, SG_APP_NEW);
    write_tips(out, chart, &scale);
    fputs("</svg></figure>\n", out);
}
